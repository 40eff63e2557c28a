"""The dependency audit reports every finding of its tools."""

import json
from typing import Any

import pytest

from tests.support.ci import program

audit = program("audit")
GOOD: dict[str, Any] = {"name": "good", "version": "1", "vulns": []}
BAD: dict[str, Any] = {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1"}, {"id": "GHSA"}]}
GONE: dict[str, Any] = {"name": "gone", "skip_reason": "Dependency not found on PyPI"}


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


@pytest.mark.parametrize(
    ("packages", "findings"),
    [
        ([GOOD], []),
        ([GOOD, BAD], ["bad 2: PYSEC-1", "bad 2: GHSA"]),
        ([GOOD, GONE], ["gone could not be checked"]),
        ([GONE, BAD], ["gone could not be checked", "bad 2: PYSEC-1", "bad 2: GHSA"]),
    ],
)
def test_every_vulnerability_of_a_python_package_is_a_finding(
    packages: list[dict[str, Any]], findings: list[str]
) -> None:
    assert audit.python_findings(report(*packages), "") == findings


@pytest.mark.parametrize(
    ("said", "log"),
    [
        (report(GONE, GONE), ""),
        ("", "Traceback …\nrequests.exceptions.ConnectionError: Max retries exceeded"),
        ("", "Traceback …\nrequests.exceptions.ProxyError: Max retries exceeded"),
        ("", "Traceback …\nrequests.exceptions.ReadTimeout: timed out"),
    ],
)
def test_without_an_answer_from_pypi_the_audit_checks_nothing(said: str, log: str) -> None:
    with pytest.raises(audit.NotCheckedError):
        audit.python_findings(said, log)


@pytest.mark.parametrize(
    ("said", "log"),
    [("", ""), ("", "KeyError: 'vulnerabilities'"), ("", "ERROR: no such option"), ("<html>", "")],
)
def test_output_that_is_not_a_pip_audit_report_is_refused(said: str, log: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        audit.python_findings(said, log)


def test_every_vulnerability_of_an_npm_package_is_a_finding() -> None:
    found = {"esbuild": {"name": "esbuild", "severity": "moderate", "via": []}}
    whole = {"auditReportVersion": 2, "vulnerabilities": found, "metadata": {}}
    assert audit.npm_findings(json.dumps(whole)) == ["esbuild: moderate"]
    assert audit.npm_findings(json.dumps(whole | {"vulnerabilities": {}})) == []


@pytest.mark.parametrize(
    "message",
    [
        "405 Method Not Allowed - POST https://registry/-/npm/v1/security/advisories/bulk",
        "request to https://registry/-/npm/v1/security/advisories/bulk failed, reason: connect",
    ],
)
def test_without_an_answer_from_npm_the_audit_checks_nothing(message: str) -> None:
    with pytest.raises(audit.NotCheckedError):
        audit.npm_findings(json.dumps({"message": message, "error": {}}))


@pytest.mark.parametrize("said", ["", "{}", '{"error":{"code":"ENOLOCK"}}', "npm error"])
def test_output_that_is_not_an_npm_report_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        audit.npm_findings(said)
