"""Export and import of a workspace that never ran: nothing is half done, and names are told apart."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backend.builders import workspace
from wsdash.backend.errors import UserError
from wsdash.backend.operations.transfer import ImportRequest
from wsdash.backend.service import Service
from wsdash.backend.store.store import Store
from wsdash.model import Desired
from wsdash.paths import Paths
from wsdash.workload import EnvVar, Workload

JOB = Workload(image="debian:12", env=(EnvVar("A", "1"),))


@pytest.fixture
async def service(paths: Paths) -> AsyncIterator[Service]:
    """With a stopped workspace `demo`."""
    async with Service.open(paths) as opened:
        async with Store.open(paths) as store:
            await store.create_workspace(replace(workspace(Desired.STOPPED), id="d1"), JOB, "created")
        yield opened


@pytest.fixture
async def archive(service: Service, tmp_path: Path) -> Path:
    file = tmp_path / "demo.tar.gz"
    done = await service.transfer.export_workspace("d1", file, progress=lambda _: None)
    assert done.size == file.stat().st_size
    return file


async def imported(service: Service, file: Path, name: str | None = None, *, start: bool = False) -> str:
    request = ImportRequest(file, name, "local", start)
    return (await service.transfer.import_workspace(request, progress=lambda _: None)).id


async def test_an_import_is_a_new_workspace_with_the_same_job(service: Service, archive: Path) -> None:
    new = (await service.queries.detail(await imported(service, archive, "copy"))).row.workspace
    old = (await service.queries.detail("d1")).row.workspace
    assert (new.name, new.desired) == ("copy", Desired.STOPPED)
    assert new.id != old.id
    assert (new.source_url, new.ref, new.policy) == (old.source_url, old.ref, old.policy)
    details = [(await service.queries.detail(one.id)).workload for one in (old, new)]
    assert details[0] == details[1]


async def test_a_name_that_is_taken_is_refused_with_the_next_free_one(
    service: Service, archive: Path
) -> None:
    with pytest.raises(UserError, match="demo already exists") as refused:
        await imported(service, archive)
    assert (refused.value.hint, refused.value.field) == ("Add --name demo-2.", "name")
    assert len(await service.queries.workspaces()) == 1


@pytest.mark.parametrize("keep", [0, 10, -10])
async def test_an_archive_that_is_cut_off_leaves_nothing(
    service: Service, archive: Path, paths: Paths, keep: int
) -> None:
    os.truncate(archive, keep % archive.stat().st_size)
    with pytest.raises(UserError, match=r"demo\.tar\.gz is not imported"):
        await imported(service, archive, "copy")
    assert len(await service.queries.workspaces()) == 1
    root = paths.contexts / "local"
    assert not [*root.glob("workspaces/*"), *root.glob("drafts/*")]


async def test_a_place_that_cannot_be_written_and_one_that_is_not_there_are_named(
    service: Service, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="No such file or directory"):
        await service.transfer.export_workspace("d1", tmp_path / "no" / "x.tar", progress=lambda _: None)
    with pytest.raises(UserError, match="cannot be read"):
        await imported(service, tmp_path / "none.tar")
