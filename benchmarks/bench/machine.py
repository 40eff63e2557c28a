"""What a result was measured on."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


def _said(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return "missing"
    return (done.stdout or done.stderr).strip()


_BUILD = """
import platform, sys, sysconfig
optimized = [one for one in ("--enable-optimizations", "--with-lto")
             if one in sysconfig.get_config_var("CONFIG_ARGS")]
print(platform.python_version(), "of", sys.base_prefix, sysconfig.get_config_var("OPT"), *optimized)
"""
_PACKAGES = """
import importlib.metadata
wanted = ("grpcio", "protobuf", "uvloop", "python-socketio", "uvicorn")
found = {one.metadata["Name"].lower(): one.version for one in importlib.metadata.distributions()}
print(", ".join(f"{name} {found[name]}" for name in wanted if name in found))
"""


def describe(python: Path, node: str) -> dict[str, str]:
    """The machine and the versions, by what they are of."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": f"{cpu}, {os.cpu_count()} cores",
        "kernel": platform.release(),
        "load at the start": " ".join(f"{value:.1f}" for value in os.getloadavg()),
        "Python": _said([str(python), "-c", _BUILD]),
        "Python packages": _said([str(python), "-c", _PACKAGES]),
        "Node.js": _said([node, "--version"]),
        "Go": _said(["go", "version"]),
        "commit": _said(["git", "describe", "--always", "--dirty"]),
    }
