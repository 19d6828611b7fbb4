"""Jobs that are killed, silent or broken, under a reconciler."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backend.services import QUICK, created, demo, running, supervisor_of
from tests.repositories import DEVFILE, make_repository
from tests.waiting import until
from wsdash.backend.operations.create import CreateRequest
from wsdash.backend.providers.local import LocalProvider
from wsdash.backend.providers.types import PollIntervals
from wsdash.backend.service import Service
from wsdash.model import Desired, Phase
from wsdash.paths import Paths


async def test_a_killed_job_comes_back(service: Service, repository: Path) -> None:
    await created(service, repository)
    row = await running(service, "demo", 1)
    for process in supervisor_of(row).children():
        process.kill()
    row = await running(service, "demo", 2)
    kinds = [event.kind for event in await service.queries.events(await demo(service))]
    assert kinds.count("launch") == 2 and "ended" in kinds


async def test_a_killed_supervisor_leaves_nothing_behind_and_the_job_comes_back(
    service: Service, repository: Path
) -> None:
    await created(service, repository)
    row = await running(service, "demo", 1)
    family = [supervisor_of(row), *supervisor_of(row).children(recursive=True)]
    family[0].kill()
    await running(service, "demo", 2)
    assert not [process for process in family if process.is_running() and process.status() != "zombie"]
    assert "force-cancel" in [event.kind for event in await service.queries.events(await demo(service))]


async def test_a_silent_job_is_cancelled_and_replaced(service: Service, repository: Path) -> None:
    policy = replace(QUICK, beat_s=0.3, suspect_s=1.5, dead_s=3.0, grace_s=0.5)
    await created(service, repository, policy)
    row = await running(service, "demo", 1)
    family = [supervisor_of(row), *supervisor_of(row).children(recursive=True)]
    for process in family:
        process.suspend()
    await running(service, "demo", 2)
    cancels = [event for event in await service.queries.events(await demo(service)) if event.kind == "cancel"]
    assert any("no heartbeat" in event.text for event in cancels)


async def test_a_job_that_fails_at_once_ends_as_failed_with_its_last_words(
    service: Service, tmp_path: Path
) -> None:
    source = make_repository(tmp_path / "demo")
    preview = await service.creation.preview(CreateRequest(str(source)))
    for file in sorted(source.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    await service.creation.create(preview, QUICK)
    row = await service.lifecycle.wait_for(await demo(service), frozenset({Phase.FAILED}), 30.0)
    assert "does not exist" in row.status.reason
    await service.lifecycle.start(await demo(service))
    retried = await until(
        lambda: _newest_generation(service), 10.0, "a new attempt after the user cleared the failure"
    )
    assert retried == 2


async def _newest_generation(service: Service) -> int | None:
    attempts = (await service.queries.detail(await demo(service))).attempts
    return attempts[0].generation if attempts[0].generation > 1 else None


async def test_a_failed_step_does_not_end_the_workspace(service: Service, tmp_path: Path) -> None:
    broken = DEVFILE.replace("commandLine: printf", "commandLine: exit 7; printf")
    source = make_repository(tmp_path / "demo", devfile=broken)
    await created(service, source)
    row = await running(service, "demo", 1)
    assert "postStart greet failed with exit 7" in row.status.reason
    assert "step-failed" in [event.kind for event in await service.queries.events(await demo(service))]


async def test_the_reconciler_survives_a_provider_that_cannot_be_asked(
    paths: Paths,
    repository: Path,
    leaves_nothing_running: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LocalProvider, "poll_intervals", PollIntervals(0.3, 0.3, 0.3))
    async with Service.open(paths) as service:
        reconciling = asyncio.create_task(service.reconcile("daemon"))
        await _survives_an_unplugged_provider(service, repository, paths)
        reconciling.cancel()
        await asyncio.gather(reconciling, return_exceptions=True)


async def _survives_an_unplugged_provider(service: Service, repository: Path, paths: Paths) -> None:
    workspace = await created(service, repository)
    await running(service, "demo", 1)
    jobs = paths.contexts / "local" / "jobs"
    hidden = jobs.with_name("hidden")
    jobs.rename(hidden)
    jobs.write_text("not a folder")
    await until(lambda: _phase(service, Phase.UNKNOWN), 20.0, "unknown")
    jobs.unlink()
    hidden.rename(jobs)
    row = await running(service, "demo", 1)
    assert row.attempt is not None and row.attempt.number == 1, "ignorance is not death"
    assert row.workspace == replace(workspace, desired=Desired.RUNNING)
    assert os.path.exists(f"/proc/{supervisor_of(row).pid}")  # noqa: PTH110


async def _phase(service: Service, phase: Phase) -> bool:
    return (await service.queries.detail(await demo(service))).row.status.phase is phase
