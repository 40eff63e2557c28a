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
flags = " ".join(str(sysconfig.get_config_var(name)) for name in ("CONFIG_ARGS", "PY_CFLAGS"))
found = [flag for flag in ("-O0", "-O1", "-O2", "-O3", "--enable-optimizations", "--with-lto")
         if flag in flags.replace("'", " ").split() or flag in flags]
print(platform.python_version(), sys.base_prefix, *found)
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
    packages = ("grpcio", "protobuf", "uvloop", "python-socketio", "uvicorn")
    versions = (
        f"import importlib.metadata as m; print(*(f'{{p}} {{m.version(p)}}' for p in {packages}))"
    )
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": f"{cpu}, {os.cpu_count()} cores",
        "kernel": platform.release(),
        "load at the start": " ".join(f"{value:.1f}" for value in os.getloadavg()),
        "Python": _said([str(python), "-c", _BUILD]),
        "Python packages": _said([str(python), "-c", versions]),
        "Node.js": _said([node, "--version"]),
        "Go": _said(["go", "version"]),
        "commit": _said(["git", "describe", "--always", "--dirty"]),
    }
