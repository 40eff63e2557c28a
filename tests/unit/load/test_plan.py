"""What is asked of a run."""

from pathlib import Path
from typing import Any

import pytest
from dyad_server.errors import ConfigError
from dyad_server.load.plan import Plan, Tls


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"targets": ()}, "Say where the server is"),
        ({"targets": ("http://localhost:50051",)}, "--target is HOST:PORT"),
        ({"targets": ("localhost",)}, "--target is HOST:PORT"),
        ({"urls": ("localhost:8080",)}, "--url is http://HOST:PORT"),
        ({"metrics_url": "localhost:9464"}, "--metrics-url is http://HOST:PORT"),
        ({"calls_per_second": 0.0}, "--calls-per-second must be"),
        ({"calls_per_second": float("nan")}, "--calls-per-second must be"),
        ({"duration": float("inf")}, "--duration must be"),
        ({"hold": -1.0}, "--hold must be"),
        ({"processes": 0}, "--processes must be"),
        ({"max_errors": 101.0}, "--max-errors must be"),
        ({"max_p99": -1.0}, "--max-p99 must be"),
        ({"ramp": 31.0}, "--ramp is part of --duration"),
        ({"tls": Tls(cert="cert.pem")}, "--cert and --key go together"),
        ({"tls": Tls(plaintext=True, ca="ca.pem")}, "have no effect"),
        ({"plot": "picture.jpg"}, "--plot is a file that ends in .png or .svg"),
        ({"json": "/no/such/folder/file"}, "there is no folder /no/such/folder"),
    ],
)
def test_what_makes_no_sense_is_told(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Plan(**{"targets": ("localhost:50051",)} | settings)


def test_several_findings_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Plan(targets=(), processes=0, plot=str(tmp_path / "none" / "a.png"))
    assert len(caught.value.sentences) == 3
