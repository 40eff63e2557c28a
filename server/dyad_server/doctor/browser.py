"""Looks at a proxy as a browser does; `examination` imports it where a URL is given."""

import asyncio
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from dyad_server.core.clock import Clock
from dyad_server.doctor import bounds, call, clock, web
from dyad_server.doctor.call import CallFailed
from dyad_server.doctor.certificates import Handshake, judge, shake_hands
from dyad_server.doctor.findings import Finding, Level, Report
from dyad_server.doctor.grpc_web import Browser
from dyad_server.doctor.tokens import Tokens
from dyad_server.doctor.web_side import WebSide
from dyad_server.setting import is_loopback

_HTTP_PORT = 80
_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class Visit:
    """How to look.

    Attributes:
        url: the URL, without a slash at its end.
        origin: of the pages that call; empty if nobody said.
        ca: PEM file of the authorities to trust; empty: those of the system.
        hold: for how many seconds a call is held.
        tokens: for the call.
        clock: of this machine.
    """

    url: str
    origin: str
    ca: str
    hold: float
    tokens: Tokens
    clock: Clock

    async def look(self, report: Report) -> None:
        """Look at everything, until something keeps a browser from going on."""
        parts = urlsplit(self.url)
        agreed = ""
        if parts.scheme == "https":
            seen, found = await self._handshake(parts)
            for each in found:
                report(each)
            if max(each.level for each in found) == Level.ERROR:
                return
            agreed = seen.protocol if seen else ""
        elif not is_loopback(parts.hostname or ""):
            report(web.plaintext(self.url))
        try:
            async with Browser(self.url, self.origin, self.ca) as browser:
                await self._requests(browser, agreed, report)
        except CallFailed as failure:
            said = str(failure)
            if parts.scheme == "http" and await self._speaks_tls(parts):
                said = "its port speaks TLS, so write https://"
            elif "RemoteProtocolError" in said:
                said += ". If this is the port for gRPC, browsers need a proxy before it"
            report(web.away(self.url, said))

    async def _speaks_tls(self, parts: SplitResult) -> bool:
        host, port = parts.hostname or "", parts.port or _HTTP_PORT
        try:
            return (await asyncio.to_thread(shake_hands, host, port, self.ca)).tls
        except OSError:
            return False

    async def _handshake(self, parts: SplitResult) -> tuple[Handshake | None, list[Finding]]:
        host, port = parts.hostname or "", parts.port or _HTTPS_PORT
        try:
            seen = await asyncio.to_thread(shake_hands, host, port, self.ca, "h2", "http/1.1")
        except OSError as failure:
            return None, [web.away(self.url, str(failure))]
        if not seen.tls:
            return seen, [web.no_tls(self.url)]
        found = [*judge(self.url, seen, self.clock.unix_time())]
        found += [] if seen.distrust else [web.protocol(self.url, seen.protocol)]
        return seen, found

    async def _requests(self, browser: Browser, agreed: str, report: Report) -> None:
        began = self.clock.monotonic()
        answer = await browser.ask("Listen", b"")
        took = self.clock.monotonic() - began
        date = answer.headers.get("date", "")
        for each in clock.by_date(f"the proxy at {self.url}", date, self.clock.unix_time(), took):
            report(each)
        reached = web.reached(
            self.url,
            answer.http,
            answer.code,
            answer.message,
            grpc_web=answer.is_grpc_web,
            by_dyad=answer.by_dyad,
        )
        report(reached)
        if not self.origin:
            if reached.level == Level.OK:
                report(web.cors_not_examined(self.url))
        elif _origin(self.origin) == _origin(self.url):
            report(web.same_origin(self.url))
        else:
            status, headers = await browser.preflight("Listen", web.ASKED_HEADERS)
            report(web.preflight(self.url, self.origin, status, headers))
            if answer.is_grpc_web:
                report(web.readable(self.url, self.origin, answer.headers))
        if reached.level == Level.OK:
            report(web.cookies(self.url, await self._with_cookies(browser, agreed)))
            await self._call(browser, report)

    async def _with_cookies(self, browser: Browser, agreed: str) -> str | None:
        crumbs = [f"c{number}={'x' * bounds.COOKIE_BYTES}" for number in range(bounds.COOKIES)]
        # With HTTP/2 browsers send each in a header of its own.
        values = crumbs if agreed == "h2" else ["; ".join(crumbs)]
        try:
            answer = await browser.ask("Listen", b"", *(("cookie", value) for value in values))
        except CallFailed as failure:
            return str(failure)
        if answer.by_dyad:
            return None
        if answer.code:
            return f"gRPC status {answer.code}, {answer.message or 'without a message'}"
        return f"HTTP {answer.http}"

    async def _call(self, browser: Browser, report: Report) -> None:
        pair = self.tokens.pair()
        if pair is None:
            report(call.no_tokens(f"through {self.url}"))
            return
        alice, bob = (WebSide(browser, token, self.clock) for token in pair)
        try:
            for each in web.called(self.url, await call.make(alice, bob, self.clock)):
                report(each)
            await asyncio.gather(alice.hold(self.hold), bob.hold(self.hold))
            report(web.held(self.url, self.hold))
        except CallFailed as failure:
            report(web.failed(self.url, failure))
        finally:
            await call.close(alice, bob)


def _origin(url: str) -> tuple[str, str, int]:
    """What browsers compare: scheme, host and port."""
    parts = urlsplit(url)
    usual = _HTTPS_PORT if parts.scheme == "https" else _HTTP_PORT
    return parts.scheme, parts.hostname or "", parts.port or usual
