"""Checks the shipped packages, the Python server and the web client, for known vulnerabilities.

The audit fails on a finding, and when a tool prints anything but a report. If the index of
vulnerabilities does not answer, the audit says that nothing was checked, and passes.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PIP_AUDIT = ROOT / "build" / "audit" / "bin" / "pip-audit"
_NO_ANSWER = ("ConnectionError", "ProxyError", "ConnectTimeout", "ReadTimeout", "SSLError")


class NotCheckedError(Exception):
    """The index of vulnerabilities does not answer."""


def python_findings(report: str, log: str) -> list[str]:
    """List what `pip-audit --format json` found, a line for each finding.

    Raises:
        NotCheckedError: the index does not answer.
        ValueError: the output is not a report.
    """
    if not report:
        last = (log.strip().splitlines() or [""])[-1]
        if any(f".{kind}:" in last for kind in _NO_ANSWER):
            raise NotCheckedError(last.partition(":")[0])
        raise ValueError(log)
    packages = json.loads(report)["dependencies"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):
        raise NotCheckedError("it knows none of the packages")
    findings = [f"{name} could not be checked" for name in skipped]
    return findings + [
        f"{package['name']} {package['version']}: {found['id']}"
        for package in packages
        for found in package.get("vulns", ())
    ]


def npm_findings(report: str) -> list[str]:
    """List what `npm audit --json` found, a line for each finding.

    Raises:
        NotCheckedError: the index does not answer.
        ValueError: the output is not a report.
    """
    said = json.loads(report)
    if "vulnerabilities" in said:
        return [f"{name}: {found['severity']}" for name, found in said["vulnerabilities"].items()]
    message = str(said.get("message", ""))
    if "/security/" in message:
        raise NotCheckedError(message)
    raise ValueError(report)


def _run(*command: str | Path) -> tuple[str, str]:
    done = subprocess.run(  # noqa: S603 - this file alone makes the command
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout, done.stderr


def _project(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return project


def _python() -> list[str]:
    server, client = _project(ROOT), _project(ROOT / "clients" / "python")
    extras = ",".join(
        extra
        for extra in server["optional-dependencies"]
        if extra not in {"dev", "bench", "deploy"}
    )
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        report, log = _run(
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--dry-run", "--ignore-installed", "--report", "-"),
            *("./clients/python", f".[{extras}]"),
        )
        if not report:
            raise ValueError(log)
        packages = [item["metadata"] for item in json.loads(report)["install"]]
        pinned = [
            f"{package['name']}=={package['version']}"
            for package in packages
            if package["name"] not in {server["name"], client["name"]}
        ]
        wanted.write_text("\n".join(pinned))
        how = ("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json")
        return python_findings(*_run(PIP_AUDIT, "--requirement", wanted, *how))


def _npm() -> list[str]:
    return npm_findings(_run("npm", "--prefix", "clients", "audit", "--omit=dev", "--json")[0])


def main() -> int:
    """Check both; return 1 if there is anything to fix."""
    failed = False
    for what, check in (("Python", _python), ("npm", _npm)):
        try:
            findings: Sequence[str] = check()
        except NotCheckedError as why:
            print(f"{what}: NOT CHECKED: the index of vulnerabilities does not answer ({why}).")
        except ValueError as error:
            print(f"{what}: the check itself failed.\n{error}")
            failed = True
        else:
            print("\n".join([f"{what}: {len(findings)} known vulnerabilities.", *findings]))
            failed = failed or bool(findings)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
