"""A proxy as a browser sees it: CORS, cookies, HTTP/2, and what becomes of a `Listen`.

These functions judge what `browser` has seen. They do no I/O.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus

from dyad_server.doctor import bounds, call
from dyad_server.doctor.call import CallFailed, Cut, HeldBack, Times
from dyad_server.doctor.findings import Finding, error, ok, quoted, warning

ASKED_HEADERS = ("authorization", "content-type", "dyad-routing-key", "x-grpc-web")
"""What the web client sends, so a page of another origin must be allowed to."""
READ_HEADERS = ("grpc-status", "grpc-message", "retry-after-ms", "dyad-status")
"""What the web client reads, so a page of another origin must be allowed to."""

_UNAUTHENTICATED = "UNAUTHENTICATED"
_GATEWAY = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
_AT_ONCE = (
    "Let each proxy on the way pass on answers at once (nginx: proxy_buffering off), and compress "
    "no application/grpc-web."
)
_NO_LIMIT = (
    "Take the time limit off the route of Listen (Envoy: timeout: 0s, and 0s for "
    "max_stream_duration and grpc_timeout_header_max if they are there, because they replace "
    "timeout; load balancers: no limit of the whole request), and allow more silence than the "
    "10 s between heartbeats (Envoy: stream_idle_timeout; nginx: proxy_read_timeout)."
)


def away(url: str, said: str) -> Finding:
    """There is no connection, or no answer."""
    return error(
        "url_away",
        f"{url} does not answer: {quoted(said)}.",
        "Look whether the proxy runs, and whether a firewall is between.",
    )


def plaintext(url: str) -> Finding:
    """The URL is http, and not of this machine."""
    return error(
        "plaintext",
        f"{url} has no TLS: tokens can be read on the way, and browsers give a page no camera.",
        "Use TLS, as deploy/envoy-tls.yaml does.",
    )


def no_tls(url: str) -> Finding:
    """The URL is https, but the port speaks something else."""
    return error("no_tls", f"The port of {url} speaks no TLS.", "Look at the proxy's certificate.")


def protocol(url: str, agreed: str) -> Finding:
    """What ALPN agreed on, over TLS."""
    if agreed == "h2":
        return ok("h2", f"{url} offers HTTP/2.")
    return warning(
        "no_h2",
        f"{url} does not offer HTTP/2, so a browser has six connections to it: a call in a "
        "seventh tab hangs.",
        "Let the proxy offer h2 by ALPN (Envoy: alpn_protocols: [h2, http/1.1]; nginx: http2 on).",
    )


def cors_not_examined(url: str) -> Finding:
    """Nobody said where the pages come from."""
    return warning(
        "cors_not_examined",
        f"Whether pages of another origin may call {url} (CORS) was not examined.",
        "Give the origin of your pages as --origin, such as https://app.example.com; if it is the "
        "origin of this URL, give that.",
    )


def same_origin(url: str) -> Finding:
    """The pages come from the URL itself."""
    return ok("same_origin", f"Pages of {url} itself need no CORS.")


def preflight(url: str, origin: str, status: int, headers: Mapping[str, str]) -> Finding:
    """Whether a page of `origin` may call, by the answer to a preflight."""
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return error(
            "cors_preflight",
            f"{url} answers the preflight of a browser with HTTP {status}, so no page of another "
            "origin can call.",
            "Let the proxy answer OPTIONS by itself: Dyad knows no such request.",
        )
    if found := _origin(url, origin, "preflight", headers):
        return found
    allowed = _names(headers.get("access-control-allow-headers", ""))
    # By the standard, a star does not cover authorization.
    covered = {each for each in ASKED_HEADERS if "*" in allowed and each != "authorization"}
    refused = [each for each in ASKED_HEADERS if each not in allowed | covered]
    if refused:
        return error(
            "cors_allowed_headers",
            f"{url} does not allow pages of {origin} to send {', '.join(refused)}.",
            "Name each in access-control-allow-headers (Envoy: allow_headers); a star does not "
            "cover authorization.",
        )
    return ok("cors_preflight", f"Pages of {origin} may call {url}.")


def readable(url: str, origin: str, headers: Mapping[str, str]) -> Finding:
    """Whether a page of `origin` may read this answer."""
    if found := _origin(url, origin, "answer", headers):
        return found
    exposed = _names(headers.get("access-control-expose-headers", ""))
    # Some proxies have no list: they expose what an answer has, content-type too, which no list
    # needs. This answer has no retry-after-ms.
    wanted = [each for each in READ_HEADERS if "content-type" not in exposed or each in headers]
    hidden = [each for each in wanted if not exposed & {each, "*"}]
    if hidden:
        return error(
            "cors_exposed_headers",
            f"{url} hides {', '.join(hidden)} from pages of {origin}, so they cannot tell why a "
            "call ended, or when to reconnect.",
            "Name each in access-control-expose-headers (Envoy: expose_headers).",
        )
    return ok("cors_answer", f"Pages of {origin} may read the answers of {url}.")


def _origin(url: str, origin: str, what: str, headers: Mapping[str, str]) -> Finding | None:
    allowed = headers.get("access-control-allow-origin", "")
    if allowed in (origin, "*"):
        return None
    if {each.strip() for each in allowed.split(",")} <= {origin, "*"}:
        return error(
            "cors_origin",
            f"{url} names access-control-allow-origin twice in its {what}, so browsers let no "
            f"page call: {quoted(allowed)}.",
            "Let only one proxy or app on the way write CORS headers.",
        )
    said = f"names {quoted(allowed)} instead" if allowed else "names no origin"
    return error(
        "cors_origin",
        f"{url} does not allow pages of {origin}: access-control-allow-origin in its {what} "
        f"{said}.",
        "Add this origin in the proxy, letter by letter and without a slash at its end (Envoy: "
        "allow_origin_string_match).",
    )


def _names(value: str) -> set[str]:
    return {name.strip().lower() for name in value.split(",")}


def reached(
    url: str, status: int, code: str, message: str, *, grpc_web: bool, by_dyad: bool
) -> Finding:
    """Whether a request without a token was answered by Dyad, as it must be.

    Args:
        url: the URL.
        status: of HTTP.
        code: the name of the gRPC status; empty if there is none.
        message: the `grpc-message`.
        grpc_web: whether the answer is grpc-web.
        by_dyad: whether it has `dyad-status`.
    """
    if by_dyad and code == _UNAUTHENTICATED:
        return ok("dyad_reached", f"A request through {url} is answered by Dyad.")
    if by_dyad:
        return error(
            "not_serving",
            f"Dyad behind {url} refuses everybody: {quoted(message) or 'status ' + code}.",
            "/readyz on its metrics port says why it is not ready.",
        )
    if status in _GATEWAY or (grpc_web and status != HTTPStatus.NOT_FOUND):
        said = f"HTTP {status}" if status != HTTPStatus.OK else f"status {code or 'missing'}"
        said += f", {quoted(message)}" if message else ""
        return error(
            "dyad_not_reached",
            f"The proxy at {url} does not reach a Dyad: it answers {said}.",
            "Look whether the server runs, at its address, its port and its protocol (HTTP/2 "
            "without TLS, or with) in the proxy, for a firewall between both, and whether the "
            "proxy translates grpc-web, which nginx does not.",
        )
    return error(
        "not_routed",
        f"{url} answers a grpc-web request with HTTP {status}, and not as Dyad does.",
        "Look at the path in the URL. Route POST /dyad.v1.Signaling/… to a proxy that translates "
        "grpc-web into gRPC, such as deploy/envoy-tls.yaml; nginx does not.",
    )


def cookies(url: str, seen: str | None) -> Finding:
    """Whether a request with many cookies is answered by Dyad too.

    Args:
        url: the URL.
        seen: how it was answered instead; None if by Dyad.
    """
    kib = bounds.COOKIES * bounds.COOKIE_BYTES / 1024
    if seen is None:
        return ok("cookies", f"Cookies of {kib:.0f} KiB do no harm.")
    return warning(
        "cookies_too_large",
        f"With {kib:.0f} KiB of cookies, a request through {url} fails: {quoted(seen)}. The "
        "cookies of a whole site come with each request of a page.",
        "Remove the header before the server (Envoy: request_headers_to_remove: [cookie]), let "
        "each proxy take 32 KiB of headers (nginx: large_client_header_buffers), or use a host "
        "of its own for calls.",
    )


def called(url: str, times: Times) -> Iterator[Finding]:
    """A call took place."""
    yield call.succeeded(f"through {url}", times)
    if min(times.passed) > bounds.LATE_SECONDS:
        yield warning(
            "buffering",
            f"Through {url} each frame arrives late, as if it were collected.",
            _AT_ONCE,
        )


def held(url: str, seconds: float) -> Finding:
    """A call lasted as long as it was asked to."""
    return ok("held", f"A call through {url} was held for {seconds:.0f} s.", held_s=seconds)


def failed(url: str, failure: CallFailed) -> Finding:
    """A call failed."""
    match failure:
        case HeldBack():
            return error(
                "buffering", f"{url} holds back what the server sends: {failure}.", _AT_ONCE
            )
        case Cut(after=after):
            return error(
                "route_timeout",
                f"{url} cut a Listen after {after:.1f} s, so calls break and resume all the time.",
                _NO_LIMIT,
                after_s=after,
            )
    return call.failed(f"through {url}", failure)
