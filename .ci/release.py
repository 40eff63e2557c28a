"""Builds every package into build/release, and checks each with its registry's own rules.

Nothing is published. What each folder is for:

- `python`: wheels and source archives, for `twine upload`
- `npm`: archives, for `npm publish`
- `go`: the modules as a Go proxy serves them; Go's registry is the repository's tags
- `maven`: a Maven repository, to be signed and sent to Maven Central
- `sbom.json`: all that the server installs, as CycloneDX
"""

import io
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "release"
TOOLS = Path(sys.executable).parent
NPM = ROOT / ".venv" / "bin" / "npm"
GO = ROOT / "clients" / "go"
GO_MODULES = ("dyad", "pion")
NPM_PACKAGES = ("web", "react")
PUBLINT = "publint@0.3.25"
MAVEN = ROOT / "clients" / "kotlin"
# Their folders.
MAVEN_PACKAGES = {"dyad": "dyad", "dyad-peer": "peer"}
POM = "{http://maven.apache.org/POM/4.0.0}"
REPOSITORY = "https://github.com/dyad-signaling/dyad/blob/main"
# A link to a path in the repository: on the page of a registry it leads nowhere.
PATH_LINK = re.compile(r"\]\((?!https?:|#)([^)\s]+)\)")
# What registries show as the README.
SHOWN = ("METADATA", "PKG-INFO", "package/README.md")
# Where the version is, in files and folders of the repository.
VERSION_IN = {
    "CHANGELOG.md": r"\A[^#]*# Changelog\n[^#]*## (\S+)",
    "CONTRIBUTING.md": r"^VERSION=(\S+)",
    "README.md": r"^\*\*Status: ([\d.]+\d)",
    "SECURITY.md": r"^Dyad is ([\d.]+\d)",
    "clients/*/package.json": r'"(?:version|@dyad/web)": "([^"]+)"',
    "clients/go/examples/*/go.mod": r"clients/go/\w+ v(\S+)",
    "clients/go/pion/go.mod": r"clients/go/\w+ v(\S+)",
    "clients/kotlin/*/pom.xml": r"<artifactId>dyad-parent</artifactId>\s+<version>([^<]+)<",
    "clients/kotlin/ANDROID.md": r'"dev\.dyad:[\w-]+:([^"]+)"',
    "clients/kotlin/README.md": r"<artifactId>dyad-\w+</artifactId>\s+<version>([^<]+)<",
    "clients/kotlin/pom.xml": r"<artifactId>dyad-parent</artifactId>\s+<version>([^<]+)<",
    "clients/package-lock.json": r'"(?:dyad-call-page|@dyad/\w+)",\s+"version": "([^"]+)"',
    "clients/python/pyproject.toml": r'^version = "([^"]+)"',
    "deploy/Containerfile": r"\bdyad:(\d\S*)",
    "deploy/README.md": r"\bdyad:(\d\S*)",
    "deploy/compose.yaml": r"image: dyad:(\S+)",
    "deploy/helm/dyad/Chart.yaml": r"^(?:version|appVersion): (\S+)",
    "deploy/kubernetes.yaml": r"image: dyad:(\S+)",
    "docs/index.md": r"^Dyad is ([\d.]+\d)",
    "pyproject.toml": r'^(?:version = |    "dyad-signaling-client==)"?([\d.]+)"',
}


def main() -> None:
    """Build and check everything."""
    version = the_version()
    missing = [program for program in ("go", "javac", "mvn") if shutil.which(program) is None]
    check(not missing, f"A release needs programs that are not installed: {', '.join(missing)}.")
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    for number, (what, step) in enumerate(STEPS.items(), start=1):
        print(f"[{number}/{len(STEPS)}] {what}", flush=True)
        step(version)
    print(f"\nDyad {version} is in {OUT.relative_to(ROOT)}. Nothing is published.")


def versions() -> Iterator[tuple[str, str]]:
    """Each place that names the version, and the version there."""
    for where, pattern in VERSION_IN.items():
        for file in sorted(ROOT.glob(where)):
            found = re.findall(pattern, file.read_text(), re.MULTILINE) or ["none"]
            for number, version in enumerate(found, start=1):
                yield f"{file.relative_to(ROOT)}, place {number}", version


def the_version() -> str:
    """The version that all packages have.

    Raises:
        SystemExit: they have several.
    """
    places = dict(versions())
    if len(set(places.values())) > 1:
        listed = "\n".join(f"  {place}: {version}" for place, version in places.items())
        sys.exit(f"The packages do not have the same version:\n{listed}")
    return next(iter(places.values()))


def python_packages(version: str) -> None:
    """Build the client's and the server's packages."""
    folder = OUT / "python"
    for project in (ROOT / "clients" / "python", ROOT):
        run(TOOLS / "python", "-m", "build", "--outdir", folder, project)
    run(TOOLS / "twine", "check", "--strict", *folder.iterdir())
    wheel = folder / f"dyad_signaling_server-{version}-py3-none-any.whl"
    inside = zipfile.ZipFile(wheel).namelist()
    for needed in ("web/index.html", "web/envoy.yaml", "web/envoy-tls.yaml", "py.typed"):
        check(f"dyad_server/{needed}" in inside, f"{wheel.name} lacks {needed}.")


def npm_packages(_version: str) -> None:
    """Build the web client and the React hooks."""
    folder = OUT / "npm"
    folder.mkdir()
    for package in NPM_PACKAGES:
        run(NPM, "pack", "--pack-destination", folder, folder=ROOT / "clients" / package)
        make_links_absolute(next(folder.glob(f"*-{package}-*.tgz")), f"clients/{package}")
    for archive in folder.iterdir():
        run(NPM, "exec", "--yes", PUBLINT, "--", archive, "--strict", folder=folder)


def make_links_absolute(archive: Path, folder: str) -> None:
    """Let the links of an npm package's README lead to the repository, as PyPI's already do."""

    def absolute(link: re.Match[str]) -> str:
        return f"]({REPOSITORY}/{posixpath.normpath(posixpath.join(folder, link[1]))})"

    files = contents(archive)
    readme = PATH_LINK.sub(absolute, files["package/README.md"].decode())
    files["package/README.md"] = readme.encode()
    with tarfile.open(archive) as packed:
        members = packed.getmembers()
    with tarfile.open(archive, "w:gz") as packed:
        for member in members:
            member.size = len(files[member.name])
            packed.addfile(member, io.BytesIO(files[member.name]))


def go_modules(version: str) -> None:
    """Lay the modules out as a Go proxy does, and list them through it."""
    for module in GO_MODULES:
        name = f"github.com/dyad-signaling/dyad/clients/go/{module}"
        folder = OUT / "go" / name / "@v"
        folder.mkdir(parents=True)
        tag = f"v{version}"
        (folder / "list").write_text(f"{tag}\n")
        (folder / f"{tag}.info").write_text(json.dumps({"Version": tag}))
        shutil.copy(GO / module / "go.mod", folder / f"{tag}.mod")
        with zipfile.ZipFile(folder / f"{tag}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in tracked(GO / module):
                archive.write(GO / module / file, f"{name}@{tag}/{file}")
            archive.write(ROOT / "LICENSE", f"{name}@{tag}/LICENSE")
        env = go_environment()
        run("go", "list", "-m", "-json", f"{name}@{tag}", folder=OUT, env=env)


def maven_artifacts(version: str) -> None:
    """Build the Kotlin client into a Maven repository."""
    repository = OUT / "maven"
    run(
        *("mvn", "-q", "-B", "-Preference", "-DskipTests", "deploy"),
        f"-DaltDeploymentRepository=release::file:{repository}",
        folder=MAVEN,
    )
    for artifact, source in MAVEN_PACKAGES.items():
        folder = repository / "dev" / "dyad" / artifact / version
        for kind in ("", "-sources", "-javadoc"):
            file = folder / f"{artifact}-{version}{kind}.jar"
            check(file.is_file(), f"Maven Central requires {file.name}.")
        jar = contents(folder / f"{artifact}-{version}-sources.jar")
        sources = {file.name for file in (MAVEN / source / "src" / "main").rglob("*.kt")}
        missing = sources - {posixpath.basename(name) for name in jar}
        check(not missing, f"{artifact}'s jar of sources lacks {', '.join(sorted(missing))}.")
        check_pom(folder / f"{artifact}-{version}.pom")
    check_pom(repository / "dev" / "dyad" / "dyad-parent" / version / f"dyad-parent-{version}.pom")


def check_pom(file: Path) -> None:
    """Check a POM, with what it inherits, for what Maven Central requires."""
    own = ET.parse(file)  # noqa: S314 - our own file
    parent = ET.parse(MAVEN / "pom.xml")  # noqa: S314 - our own file
    check(bool(own.findtext(f"{POM}name")), f"{file.name} has no name.")
    for field in ("description", "url", "licenses", "developers", "scm"):
        inherited = own.find(f"{POM}{field}") or parent.find(f"{POM}{field}")
        text = own.findtext(f"{POM}{field}") or parent.findtext(f"{POM}{field}")
        check(inherited is not None or bool(text), f"{file.name} has no {field}.")


def bill_of_materials(_version: str) -> None:
    """List what the server and its dependencies for Redis install."""
    empty = ROOT / "build" / "sbom"
    shutil.rmtree(empty, ignore_errors=True)
    venv.create(empty)
    client, server = (next((OUT / "python").glob(f"*{name}*.whl")) for name in ("client", "server"))
    into = ("--python", empty / "bin" / "python")
    run(TOOLS / "pip", *into, "install", "--quiet", client, f"{server}[redis]")
    about = ("--pyproject", ROOT / "pyproject.toml")
    run(TOOLS / "cyclonedx-py", "environment", *about, "--output-file", OUT / "sbom.json", empty)


def what_is_inside(_version: str) -> None:
    """Check what all packages must have: a licence, and a README whose links work elsewhere."""
    archives = [
        file
        for file in OUT.rglob("*")
        if file.suffix in {".whl", ".gz", ".tgz", ".zip", ".jar"} and "javadoc" not in file.name
    ]
    for archive in archives:
        files = contents(archive)
        licences = (name for name in files if posixpath.basename(name) == "LICENSE")
        check(any(licences), f"{archive.name} has no licence.")
        for name in (name for name in files if name.endswith(SHOWN)):
            link = PATH_LINK.search(files[name].decode())
            check(link is None, f"{archive.name}: {name} links to {link and link[1]}")


STEPS = {
    "Python: wheels and source archives": python_packages,
    "npm: archives": npm_packages,
    "Go: modules": go_modules,
    "Maven: jars, sources, API references": maven_artifacts,
    "Licences and READMEs": what_is_inside,
    "SBOM of the server": bill_of_materials,
}


def go_environment() -> dict[str, str]:
    """The environment in which Go finds our modules in build/release, and others as usual."""
    usual = subprocess.check_output(["go", "env", "GOPROXY"], text=True).strip()  # noqa: S607
    own = "github.com/dyad-signaling/*"
    proxies = f"file://{OUT / 'go'},{usual}"
    return {"GOPROXY": proxies, "GONOSUMDB": own, "GOFLAGS": "-mod=mod"}


def tracked(folder: Path) -> list[str]:
    """The files of a folder that are in git."""
    listed = subprocess.check_output(["git", "ls-files"], cwd=folder, text=True)  # noqa: S607
    return listed.splitlines()


def contents(archive: Path) -> dict[str, bytes]:
    """The files of an archive, by name."""
    if archive.suffix in {".whl", ".zip", ".jar"}:
        with zipfile.ZipFile(archive) as packed:
            return {name: packed.read(name) for name in packed.namelist()}
    with tarfile.open(archive) as packed:
        found = ((each.name, packed.extractfile(each)) for each in packed)
        return {name: file.read() for name, file in found if file}


def check(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - it is an assertion
    """End with this sentence unless it holds."""
    if not holds:
        sys.exit(otherwise)


def run(*command: object, folder: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run a command; show its output only if it fails, and then end."""
    arguments = [str(part) for part in command]
    done = subprocess.run(  # noqa: S603 - our own commands
        arguments,
        cwd=folder,
        env=os.environ | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}\n{done.stdout}")


if __name__ == "__main__":
    main()
