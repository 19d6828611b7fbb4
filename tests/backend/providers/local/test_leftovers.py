"""Leftovers below a local root are named before they are removed, and what may still be needed stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.local import destroy, leftovers
from wsdash.backend.providers.local.layout import Layout
from wsdash.backend.providers.local.terminate import Ender
from wsdash.backend.rules.leftovers import Ids
from wsdash.backend.system.files import json_files
from wsdash.backend.system.files.locks import filling


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "local")
    layout.make()
    return layout


def ids(living: str = "", deleted: str = "") -> Ids:
    return Ids(frozenset(living.split()), frozenset(deleted.split()))


def named(layout: Layout, known: Ids) -> set[str]:
    return {one.path.name for one in leftovers.find(layout, lambda: known)}


def cleaned(layout: Layout, known: Ids) -> list[str]:
    return leftovers.remove(layout, Ender(lambda: 0.0, layout.listeners), lambda: known)


def job(layout: Layout, workspace: str) -> Path:
    files = layout.job(f"{workspace}-a1")
    files.folder.mkdir()
    json_files.write(files.spec, {"workspace": workspace})
    json_files.write(files.exit, {"cause": "cancelled"})
    return files.folder


def test_a_root_that_was_never_used_has_no_leftovers(tmp_path: Path) -> None:
    never = Layout(tmp_path / "never")
    assert named(never, ids()) == set()
    assert cleaned(never, ids()) == []


def test_files_of_deleted_workspaces_go_and_those_of_living_and_unknown_ones_stay(layout: Layout) -> None:
    for workspace in ("living", "deleted", "unknown"):
        layout.workspace(workspace).mkdir()
        job(layout, workspace)
    known = ids("living", "deleted")
    assert named(layout, known) == {"deleted", "deleted-a1"}
    assert cleaned(layout, known) == []
    assert {path.name for path in layout.workspaces.iterdir()} == {"living", "unknown"}
    assert {path.name for path in layout.jobs.iterdir() if path.is_dir()} == {"living-a1", "unknown-a1"}
    assert named(layout, known) == set()


def test_a_secret_of_an_unknown_workspace_goes_only_where_nothing_else_is_left(layout: Layout) -> None:
    for workspace in ("alone", "beside"):
        layout.secrets_of(workspace).write_text("secret")
    layout.workspace("beside").mkdir()
    assert named(layout, ids()) == {"alone"}
    cleaned(layout, ids())
    assert not layout.secrets_of("alone").exists()
    assert layout.secrets_of("beside").exists()


def test_a_launch_that_was_never_completed_goes_once_nobody_launches(layout: Layout) -> None:
    (layout.jobs / ".w1-a1.0123").mkdir()
    (layout.jobs / "w1-a2").mkdir()
    with filling(layout.jobs):
        assert named(layout, ids("w1")) == set()
        cleaned(layout, ids("w1"))
        assert (layout.jobs / ".w1-a1.0123").exists()
    assert named(layout, ids("w1")) == {".w1-a1.0123", "w1-a2"}
    cleaned(layout, ids("w1"))
    assert not [path for path in layout.jobs.iterdir() if path.is_dir()]


def test_one_that_cannot_be_removed_is_named_and_hinders_no_other(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for workspace in ("bad", "good"):
        layout.workspace(workspace).mkdir()
    real = destroy.destroy

    def refusing(layout: Layout, ender: Ender, workspace_id: str) -> None:
        if workspace_id == "bad":
            raise ProviderError("files of the workspace belong to another user", "")
        real(layout, ender, workspace_id)

    monkeypatch.setattr(destroy, "destroy", refusing)
    assert cleaned(layout, ids("", "bad good")) == ["bad: files of the workspace belong to another user"]
    assert [path.name for path in layout.workspaces.iterdir()] == ["bad"]
