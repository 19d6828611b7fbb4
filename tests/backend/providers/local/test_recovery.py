"""Workspaces on this machine survive the loss of the state store: their folders tell of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.repositories import make_repository
from tests.waiting import until
from wsdash.backend.operations.create import CreateRequest
from wsdash.backend.providers.local import LocalProvider
from wsdash.backend.providers.types import FoundWorkspace
from wsdash.backend.service import Service
from wsdash.backend.store import database
from wsdash.backend.store.reader import WorkspaceRow
from wsdash.model import Cause, Desired, Phase, Policy
from wsdash.paths import Paths

RUNNING, STOPPED = frozenset({Phase.RUNNING}), frozenset({Phase.STOPPED})
OWN_POLICY = Policy(grace_s=5.0, ladder_s=(0.01,), start_limit=2)


@asynccontextmanager
async def reconciling_service(paths: Paths) -> AsyncIterator[Service]:
    async with Service.open(paths) as service:
        task = asyncio.create_task(service.reconcile("dashboard"))
        try:
            yield service
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def created(service: Service, source: Path, name: str, ref: str | None = None) -> WorkspaceRow:
    preview = await service.creation.preview(CreateRequest(str(source), name=name, ref=ref))
    await service.creation.create(preview, OWN_POLICY)
    return await service.lifecycle.wait_for((await service.queries.find(name)).id, RUNNING, 60.0)


def lose_the_store(paths: Paths) -> None:
    """Also its backups: nothing of the store is left but what providers keep."""
    for file in (*paths.backups.glob("*"), *paths.state.glob("state.db*")):
        file.unlink()


async def row_of(service: Service, name: str) -> WorkspaceRow | None:
    return next((row for row in await service.queries.workspaces() if row.workspace.name == name), None)


def supervisors(paths: Paths) -> set[int]:
    """Pids of living supervisors below the state folder."""
    found = set()
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any("local.supervisor.main import main" in word for word in words) and any(
            word.startswith(f"{paths.contexts}/local/jobs/") for word in words
        ):
            found.add(process.pid)
    return found


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "demo")


async def test_a_running_workspace_that_the_store_lost_comes_back_and_its_job_is_not_doubled(
    paths: Paths, repository: Path, leaves_nothing_running: None
) -> None:
    async with reconciling_service(paths) as service:
        before = await created(service, repository, "kept", ref="main")
        job = before.attempt
        assert job is not None
    lose_the_store(paths)
    async with reconciling_service(paths) as service:
        after = await service_has(service, "kept")
        assert replace(after.workspace, desired_changed_at=0.0) == replace(
            before.workspace, desired_changed_at=0.0
        )
        assert after.attempt is not None and (after.attempt.id, after.attempt.job_id) == (job.id, job.job_id)
        row = await service.lifecycle.wait_for((await service.queries.find("kept")).id, RUNNING, 60.0)
        assert row.attempt is not None and row.attempt.id == job.id
        assert supervisors(paths) == {int(job.job_id or 0)}
        assert any("recovered from its folder" in notice for notice in service.notices), service.notices
        # It is whole: it can be restarted, with the steps of its devfile, and deleted.
        await service.lifecycle.restart((await service.queries.find("kept")).id)

        async def is_second() -> bool:
            found = (await service.queries.detail((await service.queries.find("kept")).id)).row
            is_new = found.attempt is not None and found.attempt.number == 2
            return is_new and found.status.phase is Phase.RUNNING

        await until(is_second, 60.0, "the second attempt runs")
        await service.lifecycle.delete((await service.queries.find("kept")).id)
        await service.lifecycle.wait_for(before.workspace.id, frozenset({Phase.DELETED}), 60.0)
    assert list((paths.contexts / "local" / "workspaces").iterdir()) == []
    assert list((paths.contexts / "local" / "jobs").iterdir()) == []


async def service_has(service: Service, name: str) -> WorkspaceRow:
    return await until(lambda: row_of(service, name), 60.0, f"{name} is back")


async def test_a_workspace_made_since_the_backup_comes_back_when_the_backup_takes_the_stores_place(
    paths: Paths, repository: Path, leaves_nothing_running: None
) -> None:
    async with reconciling_service(paths) as service:
        await created(service, repository, "old")
        backup = await asyncio.to_thread(database.backup, paths, "20260101T00")
        since = await created(service, repository, "since")
        await service.lifecycle.stop((await service.queries.find("since")).id)
        await service.lifecycle.wait_for((await service.queries.find("since")).id, STOPPED, 60.0)
        backup.replace(paths.database)  # under the running reconciler
        row = await service_has(service, "since")
        assert row.workspace.desired is Desired.STOPPED
        assert row.attempt is not None and row.attempt.end is not None
        assert row.attempt.end.cause is Cause.CANCELLED
        assert row.workspace.id == since.workspace.id
        assert (await row_of(service, "old")) is not None


async def test_a_damaged_store_comes_back_whole(
    paths: Paths, repository: Path, leaves_nothing_running: None
) -> None:
    async with reconciling_service(paths) as service:
        await created(service, repository, "one")
    for file in paths.backups.glob("*"):
        file.unlink()
    paths.database.write_bytes(b"\xff" * 40960)
    async with reconciling_service(paths) as service:
        assert any("damaged" in notice for notice in service.notices)
        await service_has(service, "one")
        await service.lifecycle.wait_for((await service.queries.find("one")).id, RUNNING, 60.0)


async def test_recover_takes_in_what_is_lost_and_names_what_nobody_can_describe(
    paths: Paths, repository: Path, leaves_nothing_running: None
) -> None:
    async with reconciling_service(paths) as service:
        row = await created(service, repository, "lost")
    (paths.contexts / "local" / "workspaces" / "deadbeef00" / "projects").mkdir(parents=True)
    lose_the_store(paths)
    async with Service.open(paths) as service:
        plan = await service.recovery.recovery_plan("local")
        assert [known.workspace.id for known in plan.lost] == [row.workspace.id]
        assert [orphan.workspace_id for orphan in plan.orphans] == ["deadbeef00"]
        await service.recovery.take_in("local", plan.lost[0])
        await service.recovery.end_orphan("local", plan.orphans[0])
        assert (await service.recovery.recovery_plan("local")).orphans == ()
        assert (await service.recovery.recovery_plan("local")).present == 1
    assert not (paths.contexts / "local" / "workspaces" / "deadbeef00").exists()


@pytest.fixture
async def known(paths: Paths, repository: Path, leaves_nothing_running: None) -> FoundWorkspace:
    """The provider's record of a running workspace whose store was lost."""
    async with reconciling_service(paths) as service:
        await created(service, repository, "demo", ref="main")
    lose_the_store(paths)
    return await the_only_one(paths)


async def the_only_one(paths: Paths) -> FoundWorkspace:
    inventory = await LocalProvider(paths.contexts / "local").inventory("local")
    assert inventory.orphans == ()
    (found,) = inventory.workspaces
    return found


def job_folder(paths: Paths) -> Path:
    (folder,) = (paths.contexts / "local" / "jobs").iterdir()
    return folder


async def test_of_a_job_without_a_record_name_source_and_image_come_back(
    paths: Paths, known: FoundWorkspace
) -> None:
    (job_folder(paths) / "workspace.json").unlink()
    found = await the_only_one(paths)
    assert found.workspace.name == "demo"
    assert (found.workspace.source_url, found.workspace.ref) == (known.workspace.source_url, "main")
    assert found.workload.source == known.workload.source
    assert found.attempts == known.attempts


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../etc"},
        {"name": "-rf"},
        {"policy": {"grace_s": "soon"}},
        {"workload": {"image": 7}},
        {"created_at": None},
        {"format": 99},
    ],
)
async def test_a_record_that_does_not_say_what_it_should_is_not_believed(
    paths: Paths, known: FoundWorkspace, change: dict[str, object]
) -> None:
    file = job_folder(paths) / "workspace.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    inventory = await LocalProvider(paths.contexts / "local").inventory("local")
    assert inventory.workspaces == ()
    (orphan,) = inventory.orphans
    assert orphan.workspace_id == known.workspace.id
    assert orphan.job_ids == (known.attempts[0].job_id,)


async def test_records_are_the_users_alone(paths: Paths, known: FoundWorkspace) -> None:
    assert (job_folder(paths) / "workspace.json").stat().st_mode & 0o777 == 0o600
