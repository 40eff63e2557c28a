"""The table of exceptions and statuses is complete and unambiguous."""

import importlib
import pkgutil

import dyad_server
import grpc
import pytest
from dyad_server.errors import Draining, Ended, Replaced, Unavailable
from dyad_server.grpc_api.status import STATUS, trailers


def kinds(failure: type[Ended]) -> set[type[Ended]]:
    below = set(failure.__subclasses__())
    return below.union(*map(kinds, below))


@pytest.fixture(autouse=True, scope="module")
def everything_is_imported() -> None:
    # A class counts as a subclass only once its module is imported.
    for module in pkgutil.walk_packages(dyad_server.__path__, "dyad_server."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def test_every_exception_has_exactly_one_status() -> None:
    assert kinds(Ended) == STATUS.keys(), "Give each kind of Ended a row in status.STATUS."


def test_exceptions_share_a_status_only_with_their_subclasses() -> None:
    for one, status in STATUS.items():
        for other in [kind for kind in STATUS if STATUS[kind] is status]:
            assert issubclass(one, other) or issubclass(other, one), (
                f"A client cannot tell {one.__name__} from {other.__name__}."
            )


def test_no_exception_maps_to_ok_or_to_a_status_that_grpc_sets_itself() -> None:
    gone = {grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL}
    assert gone.isdisjoint(STATUS.values()), "Clients treat these as a broken connection."


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_only_unavailable_and_replaced_carry_a_time_to_reconnect(kind: type[Ended]) -> None:
    told = dict(trailers(kind("A sentence.")))
    del told["dyad-status"]
    if issubclass(kind, Unavailable):
        assert int(told.pop("retry-after-ms")) > 0
    elif kind is Replaced:
        assert told.pop("retry-after-ms") == "-1"
    assert not told


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_each_status_is_marked_as_one_of_this_server(kind: type[Ended]) -> None:
    told = dict(trailers(kind("A sentence.")))
    assert told["dyad-status"] == str(STATUS[kind].value[0])


def test_the_time_to_reconnect_is_spread_over_its_range() -> None:
    times = [int(dict(trailers(Unavailable("A sentence.")))["retry-after-ms"]) for _ in range(2000)]
    assert min(times) >= 200
    assert max(times) <= 2000
    assert max(times) - min(times) > 1500, (
        "Clients that reconnect at the same moment do so again and again."
    )


def test_reconnects_after_the_drain_of_a_full_node_are_spread_over_longer() -> None:
    going = Draining("A sentence.")
    going.within = 7.5
    times = [int(dict(trailers(going))["retry-after-ms"]) for _ in range(2000)]
    assert min(times) >= 200
    assert max(times) <= 7500
    assert max(times) - min(times) > 6500, "too many clients reconnect at once"
