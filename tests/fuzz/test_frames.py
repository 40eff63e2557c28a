"""For any frames, the hub behaves as the model of the contract does."""

import asyncio
import random
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import budget
from tests.fuzz.world import World

STEPS = 60


@contextmanager
def ids_from(rng: random.Random) -> Iterator[None]:
    """Room ids and tokens come from this source: a seed repeats everything.

    They matter: bytes of a frame are changed at random, and a room id is among them.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=rng.getrandbits(128), version=4))
        patch.setattr(secrets, "token_urlsafe", lambda size: rng.randbytes(size).hex())
        yield


@pytest.mark.long
@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    ("cases", "share_of_bytes", "of"),
    [(budget.OF_FRAMES, 0.02, "frames"), (budget.OF_BYTES, 1.0, "bytes for frames")],
    ids=["frames", "bytes"],
)
def test_any_frames_are_answered_as_the_contract_says(
    cases: int, share_of_bytes: float, of: str
) -> None:
    chance = random.Random()

    async def play() -> int:
        tried = worlds = 0
        while tried < cases:
            seed = f"{budget.SEED} {of} {worlds}"
            chance.seed(seed)
            world = World(chance, share_of_bytes)
            try:
                await world.play(STEPS)
            except BaseException as error:
                error.add_note(
                    f"FUZZ_SEED={budget.SEED}, world {worlds}, after {world.inputs} inputs"
                )
                raise
            tried += world.inputs
            worlds += 1
        return tried

    with ids_from(chance):
        tried = asyncio.run(play())
    budget.said(tried, of)
    assert tried >= cases


@pytest.mark.long
@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(0)
@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(5, STEPS))
def test_a_few_frames_are_answered_as_the_contract_says(rng: random.Random, steps: int) -> None:
    """As above, with Hypothesis, which reduces a failure to its shortest example."""
    with ids_from(random.Random(0)):
        asyncio.run(World(rng, 0.1).play(steps))


def test_all_cases_are_tried() -> None:
    shares = (budget.OF_FRAMES, budget.OF_BYTES, budget.OF_TOKENS, budget.OF_HTTP2)
    assert sum(shares) == budget.CASES
    assert min(shares) > 0
