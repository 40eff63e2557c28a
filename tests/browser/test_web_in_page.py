"""The web client in a page of Chromium: what it says when it fails, and the server's limits."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler

import dyad
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from dyad_server.cli import envoy
from playwright.async_api import Page, Route

from tests.browser.site import MEDIA_MS, OpenSite, Site
from tests.conftest import token
from tests.support.http_server import answering
from tests.support.needs import PAGE, ROOT, needs
from tests.support.ports import free_port

LIBRARY = ROOT / "clients" / "web" / "dist" / "dyad.min.js"

# Limits how many browsers run at the same time.
pytestmark = pytest.mark.xdist_group("browser")

# Resolves to the error's code and sentence.
CREATES = """async ([url, token, headers]) => {
  const { connect } = await import("/dyad.min.js");
  window.connection = connect(url, token, { headers: () => headers });
  return connection.create().then(() => ["created"], ({ code, message }) => [code, message]);
}"""
JOINS = """async ([url, token, room]) => {
  const { connect } = await import("/dyad.min.js");
  window.connection = connect(url, token);
  window.states = [];
  connection.on("state", ({ type }) => states.push(type));
  await connection.join(room);
}"""
CALLS = """async () => {
  const { Call } = await import("/dyad.min.js");
  window.failures = [];
  new Call(connection, { started: () => {}, failed: ({ code }) => failures.push(code) });
}"""
JOINS_AGAIN = """async () => {
  const { roomId } = connection.room;
  await connection.leave();
  await connection.join(roomId);
}"""
# The page learns its session's id, and then nothing more.
DEAF = """() => {
  const send = fetch;
  window.fetch = async (url, options) => {
    const response = await send(url, options);
    if (!url.endsWith("Listen")) return response;
    const { value } = await response.body.getReader().read();
    const body = new ReadableStream({ start: (stream) => stream.enqueue(value) });
    return new Response(body, response);
  };
}"""
OFFERS, OFFER_BYTES = 12, 20_000
CANDIDATES = 800
# Too much for a request that outlives its page.
LARGE_BYTES = 64_000


class Files(BaseHTTPRequestHandler):
    """Serves an empty page and the library, and answers a POST as a web server that knows none."""

    def do_GET(self) -> None:
        script = self.path.endswith(".js")
        content = LIBRARY.read_bytes() if script else b"<!doctype html>"
        self.send_response(200)
        self.send_header("content-type", "text/javascript" if script else "text/html")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def origin() -> Iterator[str]:
    """The origin of a page that has the library and nothing else."""
    needs(LIBRARY)
    with answering(Files) as address:
        yield f"http://localhost:{address.rpartition(':')[2]}"


@asynccontextmanager
async def blank(here: Site, url: str) -> AsyncIterator[Page]:
    context = await here.browser.new_context()
    page = await context.new_page()
    page.set_default_timeout(MEDIA_MS)
    await page.goto(url)
    yield page
    await context.close()


@asynccontextmanager
async def library(here: Site) -> AsyncIterator[Page]:
    """A page that has the library and the origin of Envoy."""
    needs(LIBRARY)
    async with blank(here, "about:blank") as page:
        await serve(page, here.proxy.url)
        await page.goto(f"{here.proxy.url}blank")
        yield page


async def serve(page: Page, url: str) -> None:
    """Answer requests for an empty page and the library at this address."""
    await page.route(
        f"{url}blank", lambda it: it.fulfill(body="<!doctype html>", content_type="text/html")
    )
    await page.route(
        f"{url}dyad.min.js", lambda it: it.fulfill(path=LIBRARY, content_type="text/javascript")
    )


@asynccontextmanager
async def joined(here: Site) -> AsyncIterator[tuple[Page, dyad.Connection]]:
    """A page in the room of a Python client."""
    async with (
        library(here) as page,
        dyad.connect(f"127.0.0.1:{here.server.port}", token("bob"), plaintext=True) as bob,
    ):
        room = await bob.create()
        await page.evaluate(JOINS, [here.proxy.url, token(), room.room_id])
        assert isinstance(await anext(aiter(bob)), dyad.PeerJoined)
        yield page, bob


async def fails(page: Page, url: str, **headers: str) -> list[str]:
    failure: list[str] = await page.evaluate(CREATES, [url, token(), headers])
    return failure


async def test_each_cause_of_a_failed_connection_has_a_sentence_of_its_own(
    site: OpenSite, origin: str
) -> None:
    async with site() as here, blank(here, origin) as page:
        nobody = f"http://localhost:{free_port()}"
        code, sentence = await fails(page, nobody)
        assert (code, nobody in sentence) == ("unavailable", True)
        assert "Nothing answers" in sentence

        # Envoy's configuration names another origin.
        code, sentence = await fails(page, here.proxy.url)
        assert (code, origin in sentence) == ("blocked", True)
        assert "CORS" in sentence

        code, sentence = await fails(page, origin)
        assert code == "protocol"
        assert "not a Dyad server" in sentence

        await page.context.set_offline(True)
        code, sentence = await fails(page, nobody)
        assert (code, sentence) == ("unavailable", "This device is offline.")


@asynccontextmanager
async def forgetful(here: Site, origin: str, header: str) -> AsyncIterator[str]:
    """The URL of an Envoy that allows pages of this origin, but not this header."""
    port = free_port()
    text = envoy.render(
        ROOT / "deploy" / "envoy.yaml",
        listen_port=port,
        server_ports=[here.server.port],
        page=PAGE,
        origins=[origin],
    )
    assert text.count(f"{header},") == 1
    async with envoy.running(text.replace(f"{header},", ""), port):
        yield f"http://localhost:{port}"


@pytest.mark.parametrize("header", ["authorization", "dyad-routing-key", "traceparent"])
async def test_a_header_that_the_proxy_does_not_allow_is_named(
    site: OpenSite, origin: str, header: str
) -> None:
    async with (
        site() as here,
        forgetful(here, origin, header) as url,
        blank(here, origin) as page,
    ):
        code, sentence = await fails(page, url, traceparent="of the app")
    assert code == "blocked"
    assert f"but not with the header {header} (CORS)" in sentence


async def test_an_https_page_that_asks_an_http_address_is_told_to_use_https(
    site: OpenSite,
) -> None:
    needs(LIBRARY)
    async with site() as here, blank(here, "about:blank") as page:
        await serve(page, "https://app.example/")
        await page.goto("https://app.example/blank")
        code, sentence = await fails(page, "http://calls.example")
    assert code == "blocked"
    assert "Use an https address" in sentence


async def test_the_sixth_tab_over_http_is_told_why_it_waits(site: OpenSite) -> None:
    async with site() as here, library(here) as page:
        for _ in range(5):
            assert await fails(page, here.proxy.url) == ["created"]
        code, sentence = await fails(page, here.proxy.url)
    assert code == "unavailable"
    assert "six connections" in sentence


async def test_candidates_and_offers_at_once_keep_the_servers_limits(site: OpenSite) -> None:
    async with site() as here, joined(here) as (page, bob):
        await page.evaluate(
            """([candidates, offers, bytes]) => {
              for (let n = 0; n < candidates; n += 1) {
                connection.sendCandidate({ candidate: `${n}` });
              }
              for (let n = 0; n < offers; n += 1) connection.sendOffer("x".repeat(bytes));
            }""",
            [CANDIDATES, OFFERS, OFFER_BYTES],
        )
        for n in range(CANDIDATES):
            event = await anext(aiter(bob))
            assert isinstance(event, dyad.Candidate)
            assert event.candidate == str(n)
        for _ in range(OFFERS):
            assert isinstance(await anext(aiter(bob)), dyad.Offer)
        assert await page.evaluate("states") == ["connecting", "connected"]


async def test_a_page_knows_the_id_of_its_stream_in_the_servers_log(site: OpenSite) -> None:
    async with site() as here, joined(here) as (page, _):
        assert re.fullmatch("[0-9a-f]{16}", await page.evaluate("connection.streamId"))


async def test_close_after_a_large_offer_still_hangs_up(site: OpenSite) -> None:
    async with site() as here, joined(here) as (page, bob):
        sent, arrives = asyncio.Event(), asyncio.Event()

        async def hold(route: Route) -> None:
            """Let the request with the offer arrive only later."""
            if not sent.is_set() and len(route.request.post_data_buffer or b"") > LARGE_BYTES:
                sent.set()
                await arrives.wait()
            await route.continue_()

        await page.route("**/Send", hold)
        await page.evaluate("bytes => connection.sendOffer('x'.repeat(bytes))", LARGE_BYTES)
        await sent.wait()
        await page.evaluate("connection.close()")
        # The hang-up repeats what the server may lack.
        assert isinstance(await anext(aiter(bob)), dyad.Offer)
        left = await anext(aiter(bob))
        assert isinstance(left, dyad.PeerLeft)
        assert left.reason is dyad.Departure.LEFT
        arrives.set()
        await page.evaluate("connection.closed")


async def test_closing_the_tab_hangs_up(site: OpenSite) -> None:
    async with site() as here, joined(here) as (page, bob):
        await page.evaluate("addEventListener('pagehide', () => connection.close())")
        await page.goto("about:blank")
        left = await anext(aiter(bob))
        assert isinstance(left, dyad.PeerLeft)
        assert left.reason is dyad.Departure.LEFT


async def test_closing_the_tab_during_a_join_hangs_up(site: OpenSite) -> None:
    async with (
        site() as here,
        library(here) as page,
        dyad.connect(f"127.0.0.1:{here.server.port}", token("bob"), plaintext=True) as bob,
    ):
        room = await bob.create()
        await page.evaluate(DEAF)
        await page.evaluate("addEventListener('pagehide', () => connection.close())")
        entering = [here.proxy.url, token(), room.room_id]
        await page.evaluate(f"args => void ({JOINS})(args)", entering)
        assert isinstance(await anext(aiter(bob)), dyad.PeerJoined)
        await page.goto("about:blank")
        left = await anext(aiter(bob))
        assert isinstance(left, dyad.PeerLeft)
        assert left.reason is dyad.Departure.LEFT


async def test_after_an_unusable_description_a_call_begins_anew_with_the_next_join(
    site: OpenSite,
) -> None:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTransceiver("audio")
    await pc.setLocalDescription(await pc.createOffer())
    offer = pc.localDescription.sdp
    await pc.close()
    async with site() as here, joined(here) as (page, bob):
        await page.evaluate(CALLS)
        # After this mistake, Chromium's RTCPeerConnection accepts no description any more.
        await bob.send_offer(re.sub("a=ice-pwd:.*", "a=ice-pwd:short", offer))
        await page.wait_for_function("failures.length > 0")
        assert await page.evaluate("failures") == ["unusable_description"]
        await page.evaluate(JOINS_AGAIN)
        await bob.send_offer(offer)
        while not isinstance(await anext(aiter(bob)), dyad.Answer):
            pass
        assert await page.evaluate("failures.length") == 1
