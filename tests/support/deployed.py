"""The files of deploy/, read as what starts from them would."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.needs import ROOT

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "dyad"


def documents(name: str) -> list[Any]:
    """The YAML documents of a file of deploy/."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


@cache
def rendered(*arguments: str) -> str:
    """What the chart makes of these arguments, as `helm template` prints it."""
    done = subprocess.run(
        ["helm", "template", "dyad", CHART, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def one(kind: str, manifests: str, name: str = "dyad") -> Any:
    """The object of this kind and name in manifests of Kubernetes."""
    (found,) = [
        document
        for document in yaml.safe_load_all(manifests)
        if document["kind"] == kind and document["metadata"]["name"] == name
    ]
    return found


def container(manifests: str, name: str = "dyad") -> tuple[Any, Any]:
    """The pod of a Deployment, and the only container in it."""
    pod = one("Deployment", manifests, name)["spec"]["template"]["spec"]
    (found,) = pod["containers"]
    return pod, found


def copied() -> set[str]:
    """The files and folders of the repository that the image is built from."""
    text = (DEPLOY / "Containerfile").read_text()
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    return {source for line in lines for source in line.split()}


def compose_secrets(folder: Path) -> Path:
    """Run compose-secrets.sh in `folder` instead of deploy/; returns what it made."""
    script = shutil.copy(DEPLOY / "compose-secrets.sh", folder)
    subprocess.run(["/bin/sh", script], check=True, timeout=60)
    return folder / "secrets"


def elsewhere(environment: Mapping[str, Any], folders: Mapping[str, Path]) -> dict[str, str]:
    """The environment of a container, with these folders in the place of the mounted ones."""
    moved = {}
    for name, value in environment.items():
        text = str(value)
        for mounted, folder in folders.items():
            text = text.replace(mounted, str(folder))
        moved[name] = text
    return moved
