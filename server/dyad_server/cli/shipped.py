"""The files that Dyad ships beside its code: the call page, and Envoy's configuration.

A wheel holds them in the folder `web` of this package (`hatch_build.py`). In a checkout they
are where they are written or built.
"""

from pathlib import Path

from dyad_server.errors import ConfigError

_PACKAGE = Path(__file__).parents[1] / "web"
_CHECKOUT = Path(__file__).parents[3]


def call_page() -> Path:
    """The call page.

    Raises:
        ConfigError: this package was built without it, or nobody has built it in this checkout.
    """
    return _found(
        _PACKAGE / "index.html",
        _CHECKOUT / "build" / "web" / "index.html",
        "The call page is missing. In the checkout, `make build` builds it. Then install this "
        "package again, if it is not the checkout itself.",
    )


def envoy_file(*, tls: bool) -> Path:
    """Envoy's configuration, with or without TLS.

    Raises:
        ConfigError: this package was built without it.
    """
    name = "envoy-tls.yaml" if tls else "envoy.yaml"
    missing = f"{name} is missing: this package was built without it."
    return _found(_PACKAGE / name, _CHECKOUT / "deploy" / name, missing)


def _found(packaged: Path, in_checkout: Path, missing: str) -> Path:
    for file in (packaged, in_checkout):
        if file.is_file():
            return file
    raise ConfigError(missing)
