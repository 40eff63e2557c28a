"""Who calls."""

from pathlib import Path

import jwt
import pytest
from dyad_server.auth.mint import mint
from dyad_server.errors import ConfigError
from dyad_server.load.bounds import USER_REST_SECONDS
from dyad_server.load.users import ListedUsers, MintedUsers, User, read_users

SECRET = "0123456789abcdef0123456789abcdef"


def token(sub: str, ttl: int = 60) -> str:
    return mint(SECRET, sub=sub, email="", ttl=ttl)


def test_minted_users_are_new_in_each_call_and_each_run() -> None:
    names = [
        user.name
        for _ in range(2)
        for users in (MintedUsers(SECRET, kid="", hold=0),)
        for _ in range(3)
        for user in users.take(0.0)
    ]
    assert len(set(names)) == 12


def test_a_minted_token_is_for_its_user_and_outlasts_the_call() -> None:
    users = MintedUsers(SECRET, kid="2026", hold=7200, issuer="me", audience="calls")
    user, _ = users.take(0.0)
    claims = jwt.decode(user.token, SECRET, algorithms=["HS256"], issuer="me", audience="calls")
    assert claims["sub"] == user.name
    assert claims["exp"] - claims["iat"] > 7200
    assert jwt.get_unverified_header(user.token)["kid"] == "2026"


def test_a_listed_user_is_in_one_call_at_a_time_and_rests_after_it() -> None:
    users = ListedUsers([User(name, "token") for name in "abcd"])
    first, second = users.take(0.0), users.take(0.0)
    assert first is not None
    assert second is not None
    assert len({user.name for user in (*first, *second)}) == 4
    assert users.take(0.0) is None
    users.give_back(second, 5.0)
    assert users.take(5.0) is None
    assert users.take(5.0 + USER_REST_SECONDS) == second


def test_one_user_alone_cannot_call() -> None:
    assert ListedUsers([User("a", "token")]).take(0.0) is None


def test_of_two_tokens_of_a_user_the_last_counts(tmp_path: Path) -> None:
    old, new = token("alice", 60), token("alice", 120)
    file = tmp_path / "tokens"
    file.write_text(f"{old}\n\n  {token('bob')}\r\n{new}\n")
    users = read_users(str(file))
    assert [user.name for user in users] == ["alice", "bob"]
    assert users[0].token == new


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("no-jwt", "line 2 is no JWT"),
        ("a.b.c", "line 2 is no JWT"),
        ("a.é.c", "line 2 is no JWT"),
        (jwt.encode({"exp": 1}, SECRET), "line 2 is a JWT without `sub`"),
        (jwt.encode({"sub": "\N{SNOWMAN}"}, SECRET) + ".more", "line 2 is no JWT"),
    ],
)
def test_a_line_that_is_no_token_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{token('alice')}\n{line}\n")
    with pytest.raises(ConfigError, match=complaint) as caught:
        read_users(str(file))
    assert line not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_users(str(tmp_path / "none"))
