"""Which Redis a `--redis` URL means, and the sentence about an invalid URL."""

import pytest
from dyad_server.engines.redis.client import connect
from dyad_server.errors import ConfigError


@pytest.mark.parametrize(
    "url",
    [
        "redis",
        "http://dyad:hush@redis:6379",
        "redis://dyad:hush@redis:port",
        "redis://dyad:hush@redis:6379?db=hush",
        "sentinel://dyad:hush@one:26379,two:port/mymaster",
        "sentinel://dyad:hush@one:26379/mymaster?password=hush",
        "sentinel://dyad:hush@[::1:26379/mymaster",
        "sentinel:///mymaster",
    ],
)
def test_an_invalid_redis_url_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        connect(url, 1.0)
    assert str(refused.value) == "--redis is not a URL of Redis."


def test_the_credentials_in_the_url_are_for_redis_not_for_the_sentinels() -> None:
    client = connect("sentinel://dyad:hush@one:26379,two/calls", 1.0)
    pool = client.connection_pool
    assert pool.service_name == "calls"
    assert pool.connection_kwargs["username"] == "dyad"
    assert pool.connection_kwargs["password"] == "hush"
    sentinels = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"]) for each in sentinels] == [("one", 26379), ("two", 26379)]
    assert not any(each.get("password") for each in sentinels)


def test_a_sentinel_url_without_a_service_means_the_default_service() -> None:
    assert connect("sentinel://one", 1.0).connection_pool.service_name == "mymaster"


def test_sentinels_may_have_their_own_login_and_ipv6_addresses() -> None:
    own = "sentinel_username=watch&sentinel_password=a%26b"
    client = connect(f"sentinel://dyad:hush@[::1]:26379,[2001:db8::7]/calls?{own}", 1.0)
    pool = client.connection_pool
    assert pool.connection_kwargs["password"] == "hush"
    sentinels = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    at = [(each["host"], each["port"]) for each in sentinels]
    assert at == [("::1", 26379), ("2001:db8::7", 26379)]
    assert {(each["username"], each["password"]) for each in sentinels} == {("watch", "a&b")}
