"""A workspace's files and jobs go, and nothing of another one; what belongs to another user is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.local.destroy import destroy, jobs_of
from wsdash.backend.providers.local.files import remove
from wsdash.backend.providers.local.layout import Layout
from wsdash.backend.providers.local.terminate import Ender
from wsdash.backend.system.files import json_files


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """With the files of two workspaces, each with a job that has ended."""
    layout = Layout(tmp_path / "local")
    layout.make()
    for workspace in ("w1", "w12"):
        (layout.workspace(workspace) / "projects").mkdir(parents=True)
        (layout.workspace(workspace) / "projects" / "a").write_text("x")
        layout.secrets_of(workspace).write_text("secret")
        files = layout.job(f"{workspace}-a1")
        files.folder.mkdir()
        json_files.write(
            files.spec, {"workspace": workspace, "attempt": f"{workspace}-a1", "image": "debian"}
        )
        json_files.write(files.exit, {"cause": "cancelled"})
    return layout


def ender(layout: Layout) -> Ender:
    return Ender(lambda: 0.0, layout.listeners)


def left_of(layout: Layout, workspace: str) -> list[Path]:
    return [
        path
        for path in layout.root.rglob("*")
        if path.name in (workspace, f"{workspace}-a1") or path.name.startswith(f"{workspace}.")
    ]


def test_all_of_one_workspace_goes_and_nothing_of_another(layout: Layout) -> None:
    before = left_of(layout, "w12")
    destroy(layout, ender(layout), "w1")
    assert left_of(layout, "w1") == []
    assert left_of(layout, "w12") == before
    assert layout.secrets_of("w12").read_text() == "secret"
    assert list(layout.trash.iterdir()) == []
    destroy(layout, ender(layout), "w1")


def test_jobs_are_found_by_their_record_also_those_that_were_never_launched_completely(
    layout: Layout,
) -> None:
    draft = layout.jobs / ".w1-a2.0123"
    draft.mkdir()
    json_files.write(draft / "spec.json", {"workspace": "w1"})
    (layout.jobs / "damaged").mkdir()
    (layout.jobs / "damaged" / "spec.json").write_text("{")
    assert {files.folder.name for files in jobs_of(layout, "w1")} == {"w1-a1", ".w1-a2.0123"}
    destroy(layout, ender(layout), "w1")
    assert not draft.exists() and (layout.jobs / "damaged").exists()


def test_files_of_another_user_are_emptied_by_a_container_and_else_named(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses = [True]
    purge = remove.purge

    def refusing(trash: Path, workspace_id: str = "") -> None:
        if refuses:
            raise PermissionError(13, "Permission denied", str(trash / "w1"))
        purge(trash, workspace_id)

    monkeypatch.setattr(remove, "purge", refusing)
    with pytest.raises(ProviderError, match="belong to another user") as refused:
        destroy(layout, ender(layout), "w1")
    assert "sudo rm -rf" in refused.value.hint and str(layout.trash) in refused.value.hint
    emptied: list[tuple[bool, str]] = []

    def by_container(folder: Path, image: str) -> None:
        emptied.append((folder.parent == layout.trash, image))
        refuses.clear()

    destroy(layout, ender(layout), "w1", by_container)
    assert emptied == [(True, "debian")]
    assert left_of(layout, "w1") == []
