"""Files and folders that settings name."""

from pathlib import Path

import pytest
from dyad_server import bounds
from dyad_server.errors import ConfigError
from dyad_server.files import read_texts

from tests.support.mounted import Mounted


def test_a_folder_is_read_file_by_file_also_after_kubernetes_has_replaced_it(
    tmp_path: Path,
) -> None:
    mounted = Mounted(tmp_path / "keys")
    mounted.update({"old": "one\n", "new": "two"})
    assert read_texts("jwt_secret_file", str(mounted)) == {"old": "one", "new": "two"}
    mounted.update({"new": "three"})
    assert read_texts("jwt_secret_file", str(mounted)) == {"new": "three"}
    assert read_texts("jwt_secret_file", str(mounted.path / "new")) == {"": "three"}


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([], "the folder .* is empty"),
        ([".hidden"], "the folder .* is empty"),
        ([str(number) for number in range(bounds.FILES + 1)], "more than 64 files"),
        (["folder/"], "Is a directory"),
        (["empty="], "is empty"),
    ],
    ids=["empty", "hidden", "many", "nested", "empty file"],
)
def test_a_folder_that_cannot_be_read_as_keys_is_refused(
    tmp_path: Path, names: list[str], says: str
) -> None:
    for name in names:
        if name.endswith("/"):
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name.strip("=")).write_text("" if name.endswith("=") else "x")
    with pytest.raises(ConfigError, match=f"--jwt-secret-file: {says}|{says}"):
        read_texts("jwt_secret_file", str(tmp_path))


@pytest.mark.parametrize("path", ["/no/such/folder", "a\0b", "x" * 5000])
def test_a_path_that_names_nothing_is_refused_with_a_sentence(path: str) -> None:
    with pytest.raises(ConfigError, match="--jwt-secret-file"):
        read_texts("jwt_secret_file", path)
