"""The built packages place calls, from folders that never saw the checkout.

`make release` runs this after it has built them. Only the pair programs of clients/INTEROP.md
are copied from the checkout: each is an app that uses its client as a package.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.conftest import SECRET, token
from tests.guides.test_quick_starts import maven_repository
from tests.interop.conftest import build
from tests.support.ci import program
from tests.support.needs import ROOT, needs
from tests.support.process import command
from tests.support.sides import Program, playing, written

release = program("release")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
CLIENTS = ROOT / "clients"
NPM = Path(sys.executable).parent / "npm"
NODE = Path(sys.executable).parent / "node"
# Each caller has another callee, so each client has each role once.
PAIRS = [("python", "go"), ("go", "kotlin"), ("kotlin", "web"), ("web", "python")]
SETTINGS = """<settings><profiles><profile><id>release</id><repositories><repository>
<id>release</id><url>file://{}</url></repository></repositories></profile></profiles>
<activeProfiles><activeProfile>release</activeProfile></activeProfiles></settings>"""
CALL = """
import asyncio, os, dyad

async def call():
    target = os.environ["TARGET"]
    async with (
        dyad.connect(target, os.environ["ALICE"], plaintext=True) as alice,
        dyad.connect(target, os.environ["BOB"], plaintext=True) as bob,
    ):
        room = await alice.create()
        await bob.join(room.room_id)
        await alice.send_offer("an offer")
        assert isinstance(await anext(aiter(bob)), dyad.Offer)

asyncio.run(call())
"""

pytestmark = pytest.mark.timeout(1800)


def installed(folder: Path, python: str) -> Path:
    """A new virtual environment with both packages; returns its folder of programs."""
    wheels = release.OUT / "python"
    build(python, "-m", "venv", str(folder), folder=ROOT)
    client, server = (str(next(wheels.glob(f"*_{name}-*.whl"))) for name in ("client", "server"))
    build(str(folder / "bin/pip"), "install", "-q", client, f"{server}[web,redis]", folder=folder)
    return folder / "bin"


def clean() -> dict[str, str]:
    """The environment without anything that leads into the checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@asynccontextmanager
async def dyad_dev(programs: Path) -> AsyncIterator[tuple[int, int]]:
    """Run the installed `dyad dev`; gives the ports of the server and of Envoy."""
    options = ("--port", "0", "--grpc-port", "0")
    env = clean() | {"DYAD_JWT_SECRET": SECRET}
    async with command(str(programs / "dyad"), "dev", *options, env=env) as running:
        envoy = await running.says(r"Page: +http://localhost:(\d+)/")
        server = await running.says(r"Server: +127\.0\.0\.1:(\d+)")
        yield int(server[1]), int(envoy[1])


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("server"), sys.executable)


@pytest.fixture(scope="module")
def made(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Program]:
    """Makes the pair program of a client once, in a folder of its own."""
    done: dict[str, Program] = {}
    makers = {"go": go_program, "web": web_program, "kotlin": kotlin_program}

    def make(client: str) -> Program:
        if client not in done:
            folder = tmp_path_factory.mktemp(client)
            done[client] = (
                python_program(folder, programs) if client == "python" else makers[client](folder)
            )
        return done[client]

    return make


def python_program(folder: Path, programs: Path) -> Program:
    for source in (CLIENTS / "python" / "tools").glob("*pair*.py"):
        shutil.copy(source, folder)
    # Without PYTHONPATH, which leads into the checkout.
    return Program("python", (str(programs / "python"), "-E", str(folder / "dyad_pair.py")))


def go_program(folder: Path) -> Program:
    needs("go")
    module = "github.com/dyad-signaling/dyad/clients/go/dyad/cmd/dyad-pair"
    env = [f"{name}={value}" for name, value in release.go_environment().items()]
    version = f"v{release.the_version()}"
    # Its own cache of modules: that of this machine may have an older build of this version.
    own = [f"GOBIN={folder}", f"GOMODCACHE={folder / 'modules'}"]
    build(
        "env",
        *env,
        *own,
        "GOFLAGS=-modcacherw",
        "go",
        "install",
        f"{module}@{version}",
        folder=folder,
    )
    return Program("go", (str(folder / "dyad-pair"),))


def web_program(folder: Path) -> Program:
    needs(NPM, NODE)
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    (archive,) = (release.OUT / "npm").glob("dyad-web-*.tgz")
    build(str(NPM), "install", str(archive), "esbuild@0.28.2", folder=folder)
    for source in (CLIENTS / "web" / "tools").glob("*pair*.ts"):
        text = source.read_text().replace("../src/index.js", "@dyad/web")
        assert "../src" not in text, f"{source.name} uses more than the package"
        (folder / source.name).write_text(text)
    bundle = ("--bundle", "--platform=node", "--format=esm", "--outfile=pair.mjs")
    build(str(folder / "node_modules/.bin/esbuild"), "dyad_pair.ts", *bundle, folder=folder)
    return Program("web", (str(NODE), str(folder / "pair.mjs")), web=True)


def kotlin_program(folder: Path) -> Program:
    needs("javac", "mvn")
    (folder / "settings.xml").write_text(SETTINGS.format(release.OUT / "maven"))
    pair = folder / "pair"
    shutil.copytree(CLIENTS / "kotlin" / "pair", pair, ignore=shutil.ignore_patterns("target"))
    # The parent comes from the repository, and not from the folder above.
    pom = pair / "pom.xml"
    pom.write_text(pom.read_text().replace("</parent>", "<relativePath/></parent>", 1))
    options = ("-q", "-B", "-s", str(folder / "settings.xml"))
    repository = f"-Dmaven.repo.local={maven_repository()}"
    build("mvn", *options, repository, "package", folder=pair)
    return Program("kotlin", ("java", "-jar", str(pair / "target" / "dyad-pair.jar")))


@pytest.mark.parametrize(("caller", "callee"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
async def test_the_packages_place_a_call(
    caller: str, callee: str, programs: Path, made: Callable[[str], Program]
) -> None:
    sides = {"caller": made(caller), "callee": made(callee)}
    async with dyad_dev(programs) as (server, envoy), playing() as start:
        ports = {role: envoy if side.web else server for role, side in sides.items()}
        calling = await start(
            sides["caller"], "caller", "call", ports["caller"], jwt=token("alice")
        )
        room = (await calling.says("created"))["room"]
        called = await start(
            sides["callee"], "callee", "call", ports["callee"], jwt=token("bob"), room=room
        )
        await called.succeeds()
        await calling.succeeds()
    assert calling.script == written("call", "caller", room, "bob")
    assert called.script == written("call", "callee", room, "alice")


@pytest.mark.parametrize("version", PYTHONS)
async def test_the_python_packages_work_on(version: str, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"This test needs Python {version}.")
    programs = installed(tmp_path / "venv", python)
    env = clean() | {"ALICE": token("alice"), "BOB": token("bob")}
    async with dyad_dev(programs) as (server, _):
        env["TARGET"] = f"127.0.0.1:{server}"
        async with command(str(programs / "python"), "-I", "-c", CALL, env=env) as call:
            assert await call.ended() == 0, call.said


def interpreter(version: str) -> str | None:
    """The path of this version of Python; None if the machine does not have it."""
    candidates = [
        f"python{version}",
        *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")),
    ]
    for candidate in candidates:
        show = [candidate, "-c", "import sys; print(sys.version)"]
        try:
            said = subprocess.run(
                show, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
            ).stdout
        except (OSError, subprocess.CalledProcessError):
            continue
        if re.match(re.escape(version) + r"\.", said):
            return candidate
    return None
