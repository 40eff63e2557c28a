"""A folder as Kubernetes mounts a Secret or a ConfigMap."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Mounted:
    """Each file is a link into the hidden link `..data`, which an update replaces in one step."""

    path: Path
    _updates: int = 0

    def __str__(self) -> str:
        return str(self.path)

    def update(self, files: Mapping[str, str | bytes]) -> None:
        """Replace all files at once, as the kubelet does."""
        self._updates += 1
        data, link = self.path / f"..{self._updates}", self.path / "..data"
        data.mkdir(parents=True)
        for name, content in files.items():
            (data / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        before = link.resolve() if link.exists() else None
        fresh = self.path / "..data_tmp"
        fresh.symlink_to(data.name)
        fresh.rename(link)
        for name in files:
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(f"..data/{name}")
        for old in self.path.iterdir():
            if not old.name.startswith("..") and old.name not in files:
                old.unlink()
        if before is not None:
            shutil.rmtree(before)
