"""Adds the call page, if it is built, to the packages of the server."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# `make build` makes it. A package without it has no `dyad dev`.
_PAGE = "build/web/index.html"
_IN_WHEEL = "dyad_server/web/index.html"


class PageHook(BuildHookInterface[Any]):
    """Puts the page where `dyad_server.cli.shipped` looks for it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See `BuildHookInterface`."""
        page = Path(self.root) / _PAGE
        if version == "editable":
            return
        if page.is_file():
            place = _IN_WHEEL if self.target_name == "wheel" else _PAGE
            build_data["force_include"][str(page)] = place
        else:
            # pip shows it only with -v, so `cli.shipped` says it again.
            self.app.display_warning(f"{_PAGE} is missing: this package will have no call page.")
