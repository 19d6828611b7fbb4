"""Ends of jobs are heard of, however they came about."""

# mypy: disable-error-code="type-abstract"

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil

from tests.backend.providers.contract import Harness, attempt, workspace
from tests.waiting import until
from wsdash.backend.providers.features import OnThisMachine
from wsdash.model import Cause, JobState


def job_shell(harness: Harness, supervisor: int) -> psutil.Process:
    (main,) = (
        child for child in psutil.Process(supervisor).children() if "job.sh" in " ".join(child.cmdline())
    )
    return main


async def test_a_killed_job_is_told_of_by_changes(plain: Harness) -> None:
    job = await plain.launch(plain.workload("true"))
    changes = plain.provider.changes()
    heard: set[str] = set()

    async def listen() -> None:
        async for attempt_ids in changes:
            heard.update(attempt_ids)

    listening = asyncio.ensure_future(listen())
    await until(lambda: any((Path(files_root(plain)) / "listeners").iterdir()))
    job_shell(plain, int(job.job_id)).kill()
    await until(lambda: attempt().id in heard)
    await plain.ended()
    await plain.provider.aclose()
    await listening
    assert list((Path(files_root(plain)) / "listeners").iterdir()) == []


def files_root(harness: Harness) -> str:
    return str(Path(harness.having(OnThisMachine).folder(workspace())).parents[1])


async def test_a_killed_supervisor_is_told_of_by_changes_and_the_job_is_lost(plain: Harness) -> None:
    job = await plain.launch(plain.workload("true"))
    heard: set[str] = set()

    async def listen() -> None:
        async for attempt_ids in plain.provider.changes():
            heard.update(attempt_ids)

    listening = asyncio.ensure_future(listen())
    await until(lambda: any((Path(files_root(plain)) / "listeners").iterdir()))
    # The listener is there before the supervisors are watched, so kill until it is heard.
    os.kill(int(job.job_id), signal.SIGKILL)
    lost = await plain.until(attempt(), lambda job: job.state is JobState.LOST)
    assert lost.cause is Cause.RUNNER_LOST
    await plain.provider.force_cancel(attempt())
    await until(lambda: attempt().id in heard)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    ended = await plain.ended()
    assert ended.cause is Cause.RUNNER_LOST
