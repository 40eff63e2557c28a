from benchmarks.bench import processes
from benchmarks.bench.report import table
from benchmarks.bench.results import Results
from benchmarks.bench.servers import ROOT, Server
from benchmarks.bench.targets import TARGETS

DYAD = Server("dyad", "Dyad", "grpc", [])
NESTJS = Server("nestjs-ws", "NestJS, WebSocket only", "socket.io", [])
PEERJS = Server("peerjs", "PeerJS server", "peerjs", [])


def measured() -> Results:
    results = Results()
    for dyad, nestjs in ((2.0, 4.0), (3.0, 4.0), (9.0, 10.0)):
        results.add("call", "dyad", {"cpu_ms": dyad})
        results.add("call", "nestjs-ws", {"cpu_ms": nestjs})
        results.add("shared", "dyad", {"cpu_ms": dyad / 2})
    return results


def row(text: str, title: str) -> str:
    (found,) = [line for line in text.splitlines() if line.startswith(f"| {title} |")]
    return found


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    block = table(measured(), [DYAD, NESTJS]).split("\n\n")[2]
    assert row(block, "Dyad") == "| Dyad | 3 |  |  |"
    assert row(block, "NestJS, WebSocket only") == (
        "| NestJS, WebSocket only | 4 | 0.75 (0.50 to 0.90) |  |"
    )


def test_each_target_stands_beside_its_figure_and_says_whether_it_is_met() -> None:
    results = measured()
    results.add("idle-1k", "dyad", {"kib": 35.0})
    targets = table(results, [DYAD, NESTJS]).split("\n\n", maxsplit=1)[0]
    assert targets.splitlines()[2:] == [
        "| a whole call, to NestJS with WebSocket only | 0.65 | 0.75 (0.50 to 0.90) | no |",
        "| an idle participant of 1,000 | 36 KiB | 35.00 KiB | yes |",
    ]


def test_the_table_says_how_much_of_it_one_core_carries() -> None:
    results = measured()
    results.add("idle-1k", "dyad", {"kib": 35.0, "cpu_us_per_second": 20.0})
    text = table(results, [DYAD])
    assert row(text, "calls a second") == "| calls a second | 333 |"
    assert row(text, "idle participants") == "| idle participants | 50,000 |"


def test_the_targets_are_those_of_the_documentation() -> None:
    documented = (ROOT / "docs" / "performance.md").read_text()
    for target in TARGETS:
        unit = f" {target.unit}" if target.unit else ""
        assert f"| {target.title} | ≤ {target.most:g}{unit} |" in documented


def test_a_round_that_failed_is_in_no_ratio() -> None:
    results = measured()
    results.rounds["call"]["nestjs-ws"][0] = None
    ratios = results.ratios(("call", "dyad"), ("call", "nestjs-ws"), "cpu_ms")
    assert ratios == [0.75, 0.9]


def test_what_cannot_share_a_connection_is_compared_by_its_calls_with_own_connections() -> None:
    shared = table(measured(), [DYAD, NESTJS]).split("\n\n")[3]
    found = row(shared, "NestJS, WebSocket only")
    assert "0.38 (0.25 to 0.45)" in found
    assert "own connections" in found


def test_a_measurement_that_always_failed_has_no_table() -> None:
    results = measured()
    results.add("idle-10k", "dyad", None)
    assert "10,000" not in table(results, [DYAD])


def test_a_measurement_that_was_not_made_has_no_table() -> None:
    results = Results()
    results.add("call", "dyad", {"cpu_ms": 2.0})
    assert "shared" not in table(results, [DYAD])


def test_what_is_missing_is_a_row_that_says_why() -> None:
    results = measured()
    results.missing["PeerJS server"] = "npm is not on this machine"
    text = table(results, [DYAD, NESTJS, PEERJS])
    assert row(text, "PeerJS server") == "| PeerJS server | npm is not on this machine |"


def test_a_server_that_was_not_saturated_is_marked() -> None:
    results = Results()
    results.add("frame", "dyad", {"cpu_us": 20.0, "server_busy": 0.5, "generator_busy": 0.95})
    found = row(table(results, [DYAD]), "Dyad")
    assert "not saturated: 50% of a core" in found
    assert "the load generator took 95% of a core" in found


def test_the_cpu_of_a_process_counts_and_never_falls() -> None:
    pids = processes.tree(1)
    assert pids[0] == 1
    before = processes.cpu_seconds([1])
    assert processes.cpu_seconds([1]) >= before >= 0
