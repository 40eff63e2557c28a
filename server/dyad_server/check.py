"""Looks at settings and at the files that they name, without starting anything."""

from collections.abc import Callable, Iterator

from dyad_server.composition import check_redis, read_keys
from dyad_server.config import Config
from dyad_server.errors import ConfigError
from dyad_server.grpc_api.tls import check_tls_files, expiry_warning, read_tls_files


def examine(config: Config, now: float) -> tuple[list[str], list[str]]:
    """What is wrong with settings, at `now` in Unix time.

    No connection is made. Whether the issuer and Redis answer, nobody can tell from here.

    Returns:
        A sentence for each finding with which no server starts, and one for each other.
    """
    looks: list[Callable[[Config, float], Iterator[str]]] = [_keys, _certificate, _redis]
    errors: list[str] = []
    warnings = config.warnings()
    for look in looks:
        try:
            warnings += look(config, now)
        except ConfigError as error:
            errors += error.sentences
    return errors, warnings


def _keys(config: Config, now: float) -> Iterator[str]:
    if config.jwt_jwks_url:
        return
    keys = read_keys(config, config.key_texts())
    ended = [each for each in keys if each.until <= now]
    for each in ended:
        yield f"The key {each.kid} has ended: remove it."
    if len(ended) == len(keys):
        yield "All keys have ended: no token is accepted."


def _certificate(config: Config, now: float) -> Iterator[str]:
    if config.tls_cert:
        files = read_tls_files(config)
        check_tls_files(files)
        if warning := expiry_warning(files, now):
            yield warning


def _redis(config: Config, now: float) -> Iterator[str]:
    del now
    if config.shares_redis:
        check_redis(config)
    yield from ()
