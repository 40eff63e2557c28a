"""The content of the checker's frames: sender, room, number, and a hash over all of it."""

import hashlib
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass

import dyad

Said = dyad.Offer | dyad.Answer | dyad.Candidate

# Some characters take two, three or four bytes.
_NOISE = "".join(
    random.Random("noise").choices(string.ascii_letters + string.digits + " =:/äß漢🙂", k=16_384)
)
_LARGE_SHARE = 0.03
_NOBODY = dyad.Participant("")


@dataclass(frozen=True, slots=True)
class Label:
    """The content of a frame.

    Attributes:
        run: the id of one run of the checker.
        room: the room of the sender.
        sender: the user that sent it.
        number: counts 1, 2, 3 … for each sender, across its sessions.
        heard: the highest number that the sender had received from its peer.
        last: whether this is the last frame of the sender.
    """

    run: str
    room: str
    sender: str
    number: int
    heard: int = 0
    last: bool = False


def compose(label: Label, chance: random.Random) -> Said:
    """A frame with this content, of a random type and size."""
    if chance.random() < _LARGE_SHARE:
        body = _body(label, chance, chance.randrange(1_000, 6_000))
        kind = chance.choice((dyad.Offer, dyad.Answer))
        return kind(f"{_hash(kind, body)} {body}", _NOBODY)
    body = _body(label, chance, chance.randrange(40, 160))
    mid = chance.choice((None, "", "0", "audio"))
    index = chance.choice((None, 0, 1))
    fragment = chance.choice((None, "", "k3pu"))
    seal = _hash(dyad.Candidate, body, mid, index, fragment)
    return dyad.Candidate(f"{seal} {body}", mid, index, fragment)


async def send(connection: dyad.Connection, said: Said) -> None:
    match said:
        case dyad.Offer(sdp):
            await connection.send_offer(sdp)
        case dyad.Answer(sdp):
            await connection.send_answer(sdp)
        case dyad.Candidate():
            await connection.send_candidate(said)


def hash_of(said: Said) -> str:
    """The hash of the content as it is, not the hash that the frame carries."""
    return _hash(type(said), _text(said).partition(" ")[2], *_rest(said))


def read(said: Said) -> Label | None:
    """The content of a frame; None if the frame was altered."""
    given, _, body = _text(said).partition(" ")
    if given != hash_of(said):
        return None
    run, room, sender, number, heard, last, _ = body.split(" ", 6)
    return Label(run, room, sender, int(number), int(heard), last == "last")


def _body(label: Label, chance: random.Random, size: int) -> str:
    start = chance.randrange(len(_NOISE) - size)
    said = (label.run, label.room, label.sender, str(label.number), str(label.heard))
    return " ".join((*said, "last" if label.last else "more", _NOISE[start : start + size]))


def _text(said: Said) -> str:
    return said.candidate if isinstance(said, dyad.Candidate) else said.sdp


def _rest(said: Said) -> Iterator[str | int | None]:
    if isinstance(said, dyad.Candidate):
        yield from (said.sdp_mid, said.sdp_m_line_index, said.username_fragment)


def _hash(kind: type[Said], body: str, *rest: str | int | None) -> str:
    return hashlib.blake2b(f"{kind.__name__} {rest} {body}".encode(), digest_size=8).hexdigest()
