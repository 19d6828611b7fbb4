"""Jobs are observed as what they are: not as ones that run after a reboot or under another's pid."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.backend.providers.contract import ENDED, Harness, attempt
from wsdash.backend.providers.local.layout import JobFiles
from wsdash.backend.system.files import json_files
from wsdash.model import Cause, JobState


def files(root: Path, number: int = 1) -> JobFiles:
    return JobFiles(root / "jobs" / attempt(number).id)


async def test_after_a_reboot_a_job_has_ended(plain: Harness, root: Path) -> None:
    await plain.launch(plain.workload("true"))
    await plain.provider.force_cancel(attempt())
    record = json_files.read(files(root).supervisor)
    assert record is not None
    json_files.write(files(root).supervisor, {**record, "boot_id": "another boot"})
    files(root).exit.unlink()
    plain.provider = plain.make()
    job = await plain.job(attempt())
    assert job is not None
    assert (job.state, job.cause) == (ENDED, Cause.RUNNER_LOST)
    assert job.message and "restarted" in job.message


async def test_a_pid_that_was_given_to_another_process_is_not_mistaken(plain: Harness, root: Path) -> None:
    await plain.launch(plain.workload("true"))
    await plain.provider.force_cancel(attempt())
    record = json_files.read(files(root).supervisor)
    assert record is not None
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    json_files.write(files(root).supervisor, {**record, "pid": bystander.pid})
    files(root).exit.unlink()
    plain.provider = plain.make()
    job = await plain.job(attempt())
    assert job is not None and job.state is JobState.LOST
    await plain.provider.force_cancel(attempt())
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()
