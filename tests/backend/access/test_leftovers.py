"""Files of deleted workspaces are removed from the access folder, and none of living ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsdash.backend.access.leftovers import find, forget
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.rules.leftovers import Ids
from wsdash.paths import Paths


@pytest.fixture
def folder(paths: Paths) -> AccessFolder:
    found = AccessFolder.of(paths)
    for room in (found.local, found.grants, found.sockets):
        room.mkdir(parents=True, exist_ok=True)
    return found


def files_of(folder: AccessFolder, workspace_id: str, name: str) -> list[Path]:
    """A grant, a socket with its link, and what an SSH server of this machine reads."""
    files = [
        folder.grants / f"{workspace_id}.json",
        folder.socket(workspace_id),
        *(folder.local / f"{workspace_id}{ending}" for ending in (".cert", ".conf", ".keys", ".sh")),
    ]
    for file in files:
        file.touch()
    link = folder.socket(f"{name}.wsdash")
    link.symlink_to(folder.socket(workspace_id).name)
    return [*files, link]


def test_all_of_a_workspace_is_forgotten_and_nothing_of_another(folder: AccessFolder) -> None:
    gone, living = files_of(folder, "w1", "web"), files_of(folder, "w2", "db")
    forget(folder, "w1", "web")
    forget(folder, "w1", "web")
    assert not any(os.path.lexists(file) for file in gone)
    assert all(os.path.lexists(file) for file in living)


def test_a_name_that_another_workspace_has_now_stays_with_it(folder: AccessFolder) -> None:
    living = files_of(folder, "w2", "web")
    forget(folder, "w1", "web")
    assert all(os.path.lexists(file) for file in living)


def test_an_id_that_is_no_file_name_removes_nothing(folder: AccessFolder) -> None:
    (folder.root / "precious.json").touch()
    forget(folder, "../precious", "web")
    assert (folder.root / "precious.json").exists()


def test_what_deleted_workspaces_left_is_found(folder: AccessFolder) -> None:
    gone = files_of(folder, "w1", "web")
    files_of(folder, "w2", "db")
    found = find(folder, lambda: Ids(frozenset({"w2"}), frozenset({"w1"})))
    assert {leftover.path for leftover in found} == set(gone)


def test_a_draft_is_a_leftover_once_it_is_old(folder: AccessFolder) -> None:
    old, new = folder.grants / ".old.json", folder.grants / ".new.json"
    for file in (old, new):
        file.touch()
    os.utime(old, (0, 0))
    found = find(folder, lambda: Ids(frozenset(), frozenset()))
    assert [leftover.path for leftover in found] == [old]


def test_a_socket_without_its_name_is_a_leftover_once_its_process_is_gone(folder: AccessFolder) -> None:
    mine = folder.sockets / f"w1.{os.getpid()}.1"
    of_nobody = folder.sockets / "w1.999999999.1"
    for file in (mine, of_nobody):
        file.touch()
    found = find(folder, lambda: Ids(frozenset({"w1"}), frozenset()))
    assert [leftover.path for leftover in found] == [of_nobody]
