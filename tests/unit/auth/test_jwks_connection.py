"""How the server connects to the URL of the keys: names, certificates and proxies."""

import asyncio
import logging
import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from dyad_server.auth import bounds
from dyad_server.auth.jwks import Jwks
from dyad_server.auth.verifier import Verifier
from dyad_server.errors import Unavailable
from dyad_server.ops.clock import LoopClock

from tests.support.certificates import certificate
from tests.support.connect_proxy import connect_proxy
from tests.support.fake_clock import FakeClock
from tests.support.issuer import Issuer, issuing
from tests.support.until import PATIENCE
from tests.unit.auth.conftest import OLD


async def user_of(url: str) -> str:
    """The user of a token, as a verifier that fetches its keys from `url` reads it."""
    token = await Verifier(Jwks(url, LoopClock()), LoopClock()).verify(OLD.token())
    return token.identity.user_id


async def test_a_refused_connection_counts_as_out_of_reach(clock: FakeClock) -> None:
    with issuing(OLD) as gone:
        url = gone.url
    with pytest.raises(Unavailable):
        await Verifier(Jwks(url, clock), LoopClock()).verify(OLD.token())


async def test_a_slow_name_lookup_delays_no_request(
    issuer: Issuer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "KEYS_PATIENCE_SECONDS", 0.1)
    resolve, resolved, asked = socket.getaddrinfo, threading.Event(), []

    def slowly(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments)
        resolved.wait()
        return resolve(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    keys = Jwks(issuer.url, clock)
    verifier = Verifier(keys, LoopClock())
    try:
        for _ in range(3):
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(Unavailable):
                    await verifier.verify(OLD.token())
        assert len(asked) == 1
    finally:
        resolved.set()
    monkeypatch.undo()
    await keys.fetch()
    assert (await verifier.verify(OLD.token())).identity.user_id == "alice"


async def test_the_certificate_of_the_url_must_be_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = certificate(tmp_path, "issuer")
    with issuing(OLD, tls=own) as issuer:
        with pytest.raises(Unavailable):
            await user_of(issuer.url)
        monkeypatch.setenv("SSL_CERT_FILE", own.cert)
        assert await user_of(issuer.url) == "alice"


async def test_a_fetch_sends_a_user_agent(issuer: Issuer, keys: Jwks) -> None:
    await keys.fetch()
    assert issuer.user_agent == "dyad-server"


@pytest.mark.parametrize(
    ("user", "given"), [("", ""), ("ann:p@ss", "ann:p%40ss@")], ids=["open", "with a password"]
)
@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_keys_are_fetched_through_the_proxy_of_the_environment(
    user: str, given: str, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = certificate(tmp_path, "issuer")
    monkeypatch.setenv("SSL_CERT_FILE", own.cert)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with issuing(OLD, tls=own) as issuer, connect_proxy(user) as proxy:
        monkeypatch.setenv("https_proxy", f"{scheme}{given}{proxy.address}")
        assert await user_of(issuer.url) == "alice"
        assert proxy.tunnels == [urlsplit(issuer.url).netloc]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert await user_of(issuer.url) == "alice"
        assert len(proxy.tunnels) == 1


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:1", "http://", "http://127.0.0.1:port", "::"]
)
async def test_an_invalid_proxy_is_logged(
    proxy: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    with caplog.at_level(logging.WARNING), pytest.raises(Unavailable):
        await user_of("https://127.0.0.1:1/keys")
    assert "HTTPS_PROXY is not http://host:port" in caplog.text
