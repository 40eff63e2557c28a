"""The commands of `dyad`, and their options."""

import argparse
import asyncio
import gc
import os
import platform
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import Field, fields
from importlib import metadata
from typing import Any

from dyad_server.auth.key_ring import KeyRing
from dyad_server.auth.mint import mint
from dyad_server.auth.verifier import Verifier
from dyad_server.check import examine
from dyad_server.cli import bounds, doctor_command, load_command, top_command
from dyad_server.cli.environment import load, warnings
from dyad_server.cli.signing import read_signing
from dyad_server.config import Config
from dyad_server.core.room_ids import is_room_id
from dyad_server.errors import ConfigError, DyadError
from dyad_server.grpc_api.connections import raise_descriptor_limit
from dyad_server.ops import logs, native_lines, workers
from dyad_server.ops.clock import LoopClock
from dyad_server.server import Server
from dyad_server.setting import in_seconds, option, variable
from dyad_server.transport import choose


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `dyad` with `arguments`, by default the process's, and return the exit status.

    Raises:
        SystemExit: the arguments name no command, or ask for help.
    """
    options, unknown = parser().parse_known_args(arguments)
    if unknown:
        # Not `parse_args`, which shows how `dyad` is used, and not the command.
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        status: int | None = options.run(options)
    except DyadError as error:
        for sentence in error.sentences if isinstance(error, ConfigError) else [str(error)]:
            print(f"dyad: {sentence}", file=sys.stderr)
        return 2
    return status or 0


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    dyad = argparse.ArgumentParser(prog="dyad", description="1:1 call signaling for WebRTC.")
    dyad.add_argument("--version", action="version", version=_version())
    commands = dyad.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="run the server",
        description="Run the server. Every option is also an environment variable.",
    )
    serve.set_defaults(run=_serve)
    check = commands.add_parser(
        "check",
        help="check the settings of `dyad serve`",
        description="Check settings and the files that they name, without starting a server or "
        "a connection. The exit status is 0 if all is good, 1 if a server would start, but a "
        "setting is probably a mistake, and 2 if it would not start.",
    )
    check.set_defaults(run=_check)
    for command in (serve, check, doctor_command.add(commands)):
        _add_settings_file(command)
        for setting in fields(Config):
            _add_setting(command, setting)
    token = commands.add_parser(
        "token",
        help="make a token for development",
        description="Make a token with the secret in DYAD_JWT_SECRET, for development. In "
        "production, your app issues the tokens.",
    )
    token.set_defaults(run=_token)
    token.add_argument("--sub", required=True, metavar="TEXT", help="the user's id")
    token.add_argument("--email", default="", metavar="TEXT", help="the user's e-mail address")
    token.add_argument(
        "--ttl", type=int, default=3600, metavar="SECONDS", help="lifetime; default 3600"
    )
    token.add_argument(
        "--room", default="", metavar="UUID", help="the room that the token is limited to"
    )
    token.add_argument("--jwt-secret", metavar="TEXT", help="instead of DYAD_JWT_SECRET")
    token.add_argument(
        "--jwt-secret-file",
        metavar="FILE",
        help="file with that secret, or folder; there, the key that lasts longest signs",
    )
    _add_settings_file(token)
    dev = commands.add_parser(
        "dev",
        help="run a server with a call page, for development",
        description="Run a server with a key for development, Envoy and the call page, and "
        "print links for a call between two people. The key is random, or that in "
        "DYAD_JWT_SECRET.",
    )
    dev.set_defaults(run=_dev)
    dev.add_argument(
        "--port",
        type=int,
        default=8080,
        metavar="N",
        help="port of the page, for browsers, by default %(default)s; 0 picks a free one",
    )
    dev.add_argument(
        "--grpc-port",
        type=int,
        default=50051,
        metavar="N",
        help="port of the server, for gRPC, by default %(default)s; 0 picks a free one",
    )
    dev.add_argument(
        "--lan",
        action="store_true",
        help="let phones in the same network call, with TLS and a QR code",
    )
    dev.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="URL",
        help="origin of a web app that may call too, besides http://localhost:5173 and :3000; "
        "can be repeated",
    )
    load_command.add(commands)
    top_command.add(commands)
    for command in commands.choices.values():
        command.set_defaults(parser=command)
    return dyad


def _add_settings_file(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config",
        metavar="FILE",
        help="TOML file with settings, which options and variables override [DYAD_CONFIG]",
    )


def _add_setting(serve: argparse.ArgumentParser, setting: Field[Any]) -> None:
    flag = option(setting.name)
    text = (
        f"{setting.metadata['help']} [{variable(setting.name)}; default {_shown(setting.default)}]"
    )
    text = text.replace("%", "%%")
    if isinstance(setting.default, bool):
        serve.add_argument(flag, help=text, action=argparse.BooleanOptionalAction, default=None)
    else:
        kind = type(setting.default)
        metavar = "TEXT" if kind is str else "SECONDS" if in_seconds(setting) else "N"
        serve.add_argument(flag, help=text, type=kind, metavar=metavar)


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return str(default) or "none"


def _version() -> str:
    own = metadata.version("dyad-signaling-server")
    python = platform.python_version()
    return f"dyad {own} (grpcio {metadata.version('grpcio')}, Python {python})"


def _check(options: argparse.Namespace) -> int:
    warned = warnings(vars(options))
    try:
        config = load(vars(options), os.environ)
    except ConfigError as error:
        errors = [*error.sentences]
    else:
        errors, more = _examine(config)
        warned += more
    for kind, sentences in (("error", errors), ("warning", warned)):
        for sentence in sentences:
            print(f"{kind}: {sentence}")
    if not errors and not warned:
        print("The settings are good.")
    return 2 if errors else 1 if warned else 0


def _examine(config: Config) -> tuple[list[str], list[str]]:
    errors, warned = examine(config, LoopClock().unix_time())
    if config.web_port:
        from dyad_server.cli import web_port  # noqa: PLC0415 - few need it

        errors = [*errors, *web_port.missing()]
    return errors, warned


def _serve(options: argparse.Namespace) -> None:
    config = load(vars(options), os.environ)
    if errors := _examine(config)[0]:
        # Here, and not from each worker.
        raise ConfigError(*errors)
    logs.configure(config.log_level, config.log_format)
    for warning in warnings(vars(options)):
        logs.log.warning("%s", warning)
    if config.workers > 1:
        workers.run(config, serve)
    else:
        serve(config)


def serve(config: Config) -> None:
    """Run one server in this process until a signal stops it.

    Raises:
        ConfigError: as `Server.run`.
    """
    import uvloop  # noqa: PLC0415 - Windows has none, and the other commands run there

    logs.configure(config.log_level, config.log_format)
    raise_descriptor_limit()
    gc.set_threshold(bounds.NEW_OBJECTS)

    async def until_stopped() -> None:
        if config.web_port:
            from dyad_server.cli import web_port  # noqa: PLC0415 - few need it

            await web_port.serve(config, transport.make_rpc_server)
        else:
            await Server(config, make_rpc_server=transport.make_rpc_server).run()

    with ExitStack() as stack:
        if config.log_format == "json":
            stack.enter_context(native_lines.as_log_lines())
        transport = choose(config.grpc_api, uvloop.new_event_loop)
        runner = stack.enter_context(asyncio.Runner(loop_factory=lambda: transport.loop))
        runner.run(until_stopped())


def _token(options: argparse.Namespace) -> None:
    keys, issuer, audience = read_signing(vars(options), os.environ)
    if options.ttl <= 0:
        raise ConfigError("--ttl must be positive.")
    if options.room and not is_room_id(options.room):
        raise ConfigError(f"--room is not the id of a room, which is a UUID: {options.room}.")
    if options.ttl > bounds.LONGEST_TTL_SECONDS:
        raise ConfigError(f"--ttl must be at most {bounds.LONGEST_TTL_SECONDS:,} seconds.")
    for warning in warnings(vars(options)):
        print(f"dyad: {warning}", file=sys.stderr)
    key = keys[0]
    token = mint(
        key.key.decode(),
        sub=options.sub,
        email=options.email,
        ttl=options.ttl,
        room=options.room,
        kid=key.kid or "",
        issuer=issuer,
        audience=audience,
    )
    # A token that the server would refuse is refused here.
    clock = LoopClock()
    verifier = Verifier(KeyRing(clock, keys), clock, issuer=issuer, audience=audience)
    asyncio.run(verifier.verify(token))
    print(token)


def _dev(options: argparse.Namespace) -> None:
    from dyad_server.cli import dev  # noqa: PLC0415 - the others start sooner without it

    asyncio.run(
        dev.run(
            dev.Options(
                port=options.port,
                grpc_port=options.grpc_port,
                lan=options.lan,
                origins=tuple(options.origin),
            )
        )
    )
