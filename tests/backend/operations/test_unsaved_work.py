"""Unsaved work is named, recorded and kept."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.backend.services import QUICK, created, demo, running
from wsdash.backend.errors import UserError
from wsdash.backend.operations import save_work
from wsdash.backend.operations.save_work import SavedWork
from wsdash.backend.service import Service


async def test_unsaved_and_unpushed_work_is_named(service: Service, repository: Path) -> None:
    workspace = await created(service, repository)
    await running(service, "demo", 1)
    project = Path(service.queries.folder(workspace) or "") / "projects" / "demo"
    (project / "draft.txt").write_text("x")
    work = await service.work.unsaved_work(await demo(service))
    assert work is not None
    assert any("draft.txt" in line for line in work.uncommitted)
    assert work.totals.is_whole


async def test_every_answer_to_what_only_it_has_is_recorded(service: Service, repository: Path) -> None:
    await created(service, repository, QUICK)
    await running(service, "demo", 1)
    before = time.time()
    assert await service.work.unsaved_work(await demo(service)) is not None
    asked = (await service.queries.find("demo")).unsaved
    assert asked is not None and asked.at >= before and asked.totals.is_whole
    kept = await service.work.keep_work(await demo(service))
    again = (await service.queries.find("demo")).unsaved
    assert again is not None and again.at > asked.at
    assert again.totals.holds == (kept.folder is not None)
    await service.work.look_again(await demo(service))
    assert (await service.queries.find("demo")).unsaved == again, "that is recent enough"


async def test_what_changes_while_its_work_is_kept_is_not_deleted(
    service: Service, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = await created(service, repository, QUICK)
    await running(service, "demo", 1)
    project = Path(service.queries.folder(workspace) or "") / "projects/demo"
    keep = save_work.keep

    def keep_late(said: bytes, name: str, folder: Path, now: float) -> SavedWork:
        (project / "late.txt").write_text("precious")
        return keep(said, name, folder, now)

    monkeypatch.setattr(save_work, "keep", keep_late)
    with pytest.raises(UserError, match="demo changed while its work was saved, so it is not deleted"):
        await service.work.keep_work(workspace.id)
    assert (await service.work.keep_work(workspace.id)).folder is not None


async def test_a_second_change_of_a_changed_file_while_its_work_is_kept_deletes_nothing_either(
    service: Service, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = await created(service, repository, QUICK)
    await running(service, "demo", 1)
    file = Path(service.queries.folder(workspace) or "") / "projects/demo/README.md"
    file.write_text("first")
    keep = save_work.keep

    def keep_late(said: bytes, name: str, folder: Path, now: float) -> SavedWork:
        file.write_text("again")
        return keep(said, name, folder, now)

    monkeypatch.setattr(save_work, "keep", keep_late)
    with pytest.raises(UserError, match="demo changed while its work was saved, so it is not deleted"):
        await service.work.keep_work(workspace.id)
