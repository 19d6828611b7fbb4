"""What providers keep on this machine: the folders of workspaces, and what processes that died have left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsdash.backend.providers import on_disk
from wsdash.backend.rules.leftovers import Ids
from wsdash.paths import Paths

HOUR_S = 3600.0


def ids() -> Ids:
    return Ids(frozenset({"w1"}), frozenset())


@pytest.fixture
def local(paths: Paths) -> Path:
    """The folder of a context whose jobs have run here."""
    folder = paths.contexts / "local"
    for name in ("jobs", "workspaces/w1", "drafts", "listeners"):
        (folder / name).mkdir(parents=True)
    (paths.contexts / "gitlab").mkdir()
    return folder


def test_folders_are_those_of_the_contexts_workspaces(paths: Paths, local: Path) -> None:
    assert on_disk.folders(paths, "local") == {"w1": str(local / "workspaces/w1")}
    assert on_disk.folders(paths, "gitlab") == {}
    assert on_disk.folders(paths, "unknown") == {}


def test_a_try_of_a_sandbox_is_left_over_once_it_is_old(paths: Paths, local: Path) -> None:
    tried = local / ".probe-1"
    (tried / "file").mkdir(parents=True)
    assert on_disk.find_leftovers(paths, ids, HOUR_S) == []
    os.utime(tried, (0, 0))
    assert [one.path for one in on_disk.find_leftovers(paths, ids, HOUR_S)] == [tried]
    assert list(on_disk.end_leftovers(paths, ids, HOUR_S)) == []
    assert not tried.exists() and (local / "workspaces/w1").exists()


def test_a_machine_on_which_nothing_ran_has_nothing_left(paths: Paths) -> None:
    assert on_disk.find_leftovers(paths, ids, HOUR_S) == []
    assert list(on_disk.end_leftovers(paths, ids, HOUR_S)) == []
