import re
from collections import Counter
from xml.etree import ElementTree as ET

import pytest

from benchmarks.flames.picture import draw
from benchmarks.flames.stacks import Stack, loop_thread, share

MAIN = "0x1 (libc.so.6);_run_module_as_main (<frozen runpy>:198);main (dyad_server/cli/main.py:35)"
LOOP = f"{MAIN};BaseEventLoop._run_once (asyncio/base_events.py:1884)"
SELECTOR = "_Selector.select (dyad_server/completion_queue/loop.py:82)"
CORE = "0x2 (grpc/_cython/cygrpc.cpython-311-x86_64-linux-gnu.so)"


def test_only_the_work_of_the_loops_thread_counts() -> None:
    stacks = loop_thread(
        [
            f"{LOOP};{SELECTOR} 3",
            f"{LOOP};{SELECTOR};epoll_wait (libc.so.6) 90",
            "0x1 (libc.so.6);Thread.run (threading.py:975) 40",
            f"{MAIN} 2",
        ]
    )
    loop = "BaseEventLoop._run_once (asyncio/base_events.py)"
    assert stacks == {(loop, "_Selector.select (dyad/completion_queue/loop.py)"): 3}


def test_a_library_without_symbols_is_one_frame_and_lines_of_a_function_are_one() -> None:
    stacks = loop_thread(
        [
            f"{LOOP};{SELECTOR};{CORE};{CORE};sendmsg (libc.so.6) 2",
            f"{LOOP};{SELECTOR.replace('82', '83')};{CORE};sendmsg (libc.so.6) 5",
        ]
    )
    assert [(stack[2:], seen) for stack, seen in stacks.items()] == [
        (("gRPC's core", "sendmsg (libc)"), 7)
    ]


def test_the_share_of_a_function_is_that_of_all_stacks_that_it_is_in() -> None:
    shares: dict[Stack, int] = {("loop", "a", "b"): 30, ("loop", "b"): 10, ("loop",): 60}
    assert share(Counter(shares), "b") == pytest.approx(0.4)


def test_a_flame_graph_is_an_svg_that_names_each_function_but_those_below_half_a_percent() -> None:
    stacks: Counter[Stack] = Counter(
        {("loop", "a <b>"): 700, ("loop", "c"): 296, ("loop", "rare"): 4}
    )
    picture = draw("A title", stacks)
    ET.fromstring(picture)
    named = re.findall(r"<title>(.*?)</title>", picture)
    assert named == ["loop: 100.0%", "a &lt;b&gt;: 70.0%", "c: 29.6%"]
