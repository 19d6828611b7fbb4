"""The folder of the relay's sockets: short enough for a socket, the user's own, found by every process."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsdash.backend.access import paths
from wsdash.backend.access.paths import LONGEST_NAME, LONGEST_PATH, AccessFolder
from wsdash.paths import PathError


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a short path, which is /tmp for the time."""
    folder = Path(f"/tmp/w{os.getpid()}")
    folder.mkdir(mode=0o777)
    monkeypatch.setattr(paths, "_PLACES", (str(folder),))
    yield folder
    shutil.rmtree(folder)


def test_it_lies_in_the_state_folder_where_that_has_a_short_path(short: Path) -> None:
    folder = AccessFolder(short / "access")
    folder.prepare()
    assert folder.sockets == short / "access/s"
    assert stat.S_IMODE(folder.sockets.stat().st_mode) == 0o700


def test_else_it_has_a_random_name_which_every_asker_finds(short: Path, tmp_path: Path) -> None:
    root = tmp_path / "access-with-a-path-that-is-too-long-for-a-socket"
    folder = AccessFolder(root)
    folder.prepare()
    assert folder.sockets.parent == short
    assert stat.S_IMODE(folder.sockets.stat().st_mode) == 0o700
    assert len(os.fsencode(folder.sockets)) + 1 + LONGEST_NAME <= LONGEST_PATH
    AccessFolder(root).prepare()
    assert AccessFolder(root).sockets == folder.sockets


def test_one_that_was_wiped_and_taken_by_somebody_else_is_not_used(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = AccessFolder(tmp_path / "access-with-a-path-that-is-too-long-for-a-socket")
    folder.prepare()
    before = folder.sockets
    before.rmdir()
    before.symlink_to(tmp_path)
    folder.prepare()
    assert folder.sockets != before
    assert not folder.sockets.is_symlink()


def test_a_state_folder_that_is_gone_is_not_made_again(short: Path) -> None:
    folder = AccessFolder(short / "access")
    folder.prepare()
    shutil.rmtree(folder.root)
    with pytest.raises(PathError):
        folder.prepare_sockets()
    assert list(short.iterdir()) == []
