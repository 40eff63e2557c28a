"""What the table of nodes looks like."""

from io import StringIO

from dyad_server.top.figures import Figures
from dyad_server.top.table import render
from rich.console import Console

SENTENCE = "Nothing answers at http://a-node-with-a-long-name.example.com:9464/metrics."


def test_on_a_narrow_terminal_the_sentence_of_a_silent_node_is_whole() -> None:
    shown = StringIO()
    console = Console(file=shown, width=130)
    console.print(render({"one": Figures(state="ready", participants=2.0), "two": SENTENCE}))
    assert SENTENCE in shown.getvalue()
    assert "1 of 2 ready" in shown.getvalue()
