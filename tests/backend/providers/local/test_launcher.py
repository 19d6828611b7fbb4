"""Launches: one job an attempt, and a reason where there is none."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.backend.providers.contract import RUN, STAY, Harness, attempt, workspace
from wsdash.backend.providers.local.layout import JobFiles
from wsdash.backend.system.files import json_files
from wsdash.model import Cause, JobState
from wsdash.workload import Command, Workload


def files(root: Path, number: int = 1) -> JobFiles:
    return JobFiles(root / "jobs" / attempt(number).id)


async def test_a_lost_job_is_not_launched_a_second_time(plain: Harness) -> None:
    job = await plain.launch(plain.workload("printf x >>count"))
    os.kill(int(job.job_id), signal.SIGKILL)
    await plain.until(attempt(), lambda job: job.state is JobState.LOST)
    again = await plain.provider.launch(workspace(), attempt(), plain.workload("printf x >>count"))
    assert again.state is JobState.LOST


async def test_processes_launching_at_once_make_one_job(root: Path, plain: Harness) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from tests.backend.providers import contract; "
        "from wsdash.backend.providers.local import Isolation, LocalProvider; "
        "from wsdash.workload import Command, Source, Workload; contract.RUN = sys.argv[2]; "
        "provider = LocalProvider(Path(sys.argv[1]), isolation=Isolation('plain')); "
        "workload = Workload(post_start=(Command('one', 'printf x >>count'),)); "
        "job = asyncio.run(provider.launch(contract.workspace(), contract.attempt(), workload)); "
        "print(job.job_id)"
    )
    argv = [sys.executable, "-c", code, str(root), RUN]
    started = [await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE) for _ in range(3)]
    answers = {(await process.communicate())[0] for process in started}
    assert len(answers) == 1 and answers != {b""}
    await plain.until(attempt(), lambda job: job.ready_at)
    assert await plain.run_inside("cat", "count") == (0, b"x")


async def test_a_job_that_cannot_be_run_at_all_says_why(plain: Harness, root: Path) -> None:
    await plain.provider.launch(workspace(), attempt(), Workload(post_start=(Command("one", STAY),)))
    await plain.provider.force_cancel(attempt())
    spec = json_files.read(files(root).spec)
    assert spec is not None
    (root / "jobs" / attempt(2).id).mkdir()
    json_files.write(files(root, 2).spec, {**spec, "attempt": attempt(2).id, "stages": [_broken_stage(spec)]})
    await plain.provider.launch(workspace(), attempt(2), Workload())
    job = await plain.ended(attempt(2))
    assert (job.cause, job.exit_code) == (Cause.USER_CODE, 127)
    assert job.message and "cannot run" in job.message


def _broken_stage(spec: dict[str, object]) -> dict[str, object]:
    stages = spec["stages"]
    assert isinstance(stages, list)
    return {**stages[-1], "argv": ["/nowhere/sh"]}
