"""The command `dyad`."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import fields

_MISSING = "This command needs the server's dependencies: pip install 'dyad[server]'."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `dyad` with these arguments, or the process's own; the exit status."""
    try:
        from dyad_server import app, auth  # noqa: F401, PLC0415 - one sentence if they are missing
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("dyad_server"):
            raise
        print(_MISSING, file=sys.stderr)
        return 2
    from dyad_server.errors import DyadError  # noqa: PLC0415 - as above

    options = _parser().parse_args(arguments)
    try:
        return {"serve": _serve, "token": _token, "demo": _demo}[options.command](options)
    except DyadError as error:
        print(f"dyad: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    from dyad_server.config import Config, variable  # noqa: PLC0415 - as above

    parser = argparse.ArgumentParser(prog="dyad", description="1:1 call signaling for WebRTC.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="run the server",
        description="Run the server. Every option is also an environment variable.",
    )
    for setting in fields(Config):
        flag = "--" + setting.name.replace("_", "-")
        text = setting.metadata["help"]
        shown = "" if setting.default in ("", False) else f"; default {setting.default}"
        text = f"{text} [{variable(setting.name)}{shown}]".replace("%", "%%")
        if isinstance(setting.default, bool):
            serve.add_argument(flag, help=text, action=argparse.BooleanOptionalAction, default=None)
        else:
            kind = type(setting.default)
            metavar = {str: "TEXT", int: "N", float: "SECONDS"}[kind]
            serve.add_argument(flag, help=text, type=kind, metavar=metavar)
    token = commands.add_parser(
        "token",
        help="make a token for development",
        description="Make a token with the secret in DYAD_JWT_SECRET. For development: in "
        "production your app issues them.",
    )
    token.add_argument("--sub", required=True, help="the user's id")
    token.add_argument("--email", default="", help="the user's e-mail address")
    token.add_argument("--ttl", type=int, default=3600, metavar="SECONDS", help="default 3600")
    token.add_argument("--room", default="", help="the only room it is good for")
    token.add_argument("--jwt-secret", help="instead of DYAD_JWT_SECRET")
    demo = commands.add_parser(
        "demo", help="show a call in the browser, from a checkout after `make demo`"
    )
    demo.add_argument("--port", type=int, default=8080, help="of the page; 0 picks a free one")
    return parser


def _serve(options: argparse.Namespace) -> int:
    import uvloop  # noqa: PLC0415 - as above

    from dyad_server import logs  # noqa: PLC0415 - as above
    from dyad_server.app import Server  # noqa: PLC0415 - as above
    from dyad_server.config import load  # noqa: PLC0415 - as above

    config = load(vars(options), os.environ)
    logs.configure(config.log_level)

    async def serve() -> None:
        await Server(config).run()

    uvloop.run(serve())
    return 0


def _token(options: argparse.Namespace) -> int:
    from dyad_server.auth import mint  # noqa: PLC0415 - as above

    secret = options.jwt_secret or os.environ.get("DYAD_JWT_SECRET", "")
    print(mint(secret, sub=options.sub, email=options.email, ttl=options.ttl, room=options.room))
    return 0


def _demo(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415 - as above

    from dyad_server import demo  # noqa: PLC0415 - as above

    asyncio.run(demo.run(port=options.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
