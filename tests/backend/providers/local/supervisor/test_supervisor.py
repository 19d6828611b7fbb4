"""The supervisor of a local job: signals, floods, full disks and the job's last words."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.backend.providers.conftest import found
from tests.backend.providers.contract import Harness, attempt, workspace
from tests.waiting import until
from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.local import Isolation, LocalProvider
from wsdash.backend.providers.local.layout import JobFiles
from wsdash.backend.providers.local.sandbox.isolation import container_name
from wsdash.model import Cause, JobState
from wsdash.workload import Source, Workload


def files(root: Path, number: int = 1) -> JobFiles:
    return JobFiles(root / "jobs" / attempt(number).id)


def job_shell(harness: Harness, supervisor: int) -> psutil.Process:
    (main,) = (
        child for child in psutil.Process(supervisor).children() if "job.sh" in " ".join(child.cmdline())
    )
    return main


async def test_a_killed_job_is_recorded_with_its_last_words(plain: Harness) -> None:
    job = await plain.launch(plain.workload("echo last words"))
    job_shell(plain, int(job.job_id)).kill()
    ended = await plain.ended()
    assert (ended.cause, ended.exit_code) == (Cause.KILLED, 128 + signal.SIGKILL)
    assert ended.message == "last words\nkilled by signal 9"
    assert ended.steps and ended.ready_at == job.ready_at


async def test_a_job_that_is_killed_in_its_sandbox_says_so(sandboxed: Harness) -> None:
    job = await sandboxed.launch(sandboxed.workload("echo last words"))
    below = psutil.Process(int(job.job_id)).children(recursive=True)
    next(process for process in below if process.cmdline()[:2] == ["sh", "/wsdash/job.sh"]).kill()
    ended = await sandboxed.ended()
    assert (ended.cause, ended.message) == (Cause.KILLED, "last words\nkilled by signal 9")


async def test_the_reason_of_a_failed_fetch_is_what_git_said(plain: Harness, tmp_path: Path) -> None:
    source = Source(f"file://{tmp_path}/nowhere")
    await plain.provider.launch(workspace(), attempt(), Workload(source=source))
    ended = await plain.ended()
    assert ended.cause is Cause.CONFIGURATION
    text = ended.message or ""
    assert "does not exist" in text or "not appear to be a git" in text
    assert "wsdash/1" not in text and "cloning" not in text


async def test_a_job_that_does_not_end_when_asked_is_said_to_have_been_killed(plain: Harness) -> None:
    await plain.launch(plain.workload("true", stop="trap '' TERM; while :; do sleep 1; done"))
    await plain.provider.cancel(attempt(), 0.5)
    ended = await plain.ended()
    assert (ended.cause, ended.message) == (
        Cause.CANCELLED,
        "it did not end within the grace period and was killed",
    )


async def test_a_container_that_is_killed_from_outside_says_so(contained: Harness, probes: Path) -> None:
    await contained.launch(contained.workload("echo last words"))
    engine = found("podman", probes)
    program = engine.program if isinstance(engine, Isolation) else "docker"
    killing = await asyncio.create_subprocess_exec(program, "kill", container_name(attempt().id))
    assert await killing.wait() == 0
    ended = await contained.ended()
    assert (ended.cause, ended.message) == (Cause.KILLED, "last words\nkilled by signal 9")


async def test_term_to_the_supervisor_itself_ends_the_job_in_order(plain: Harness) -> None:
    job = await plain.launch(plain.workload("true", stop="echo saved"))
    os.kill(int(job.job_id), signal.SIGTERM)
    ended = await plain.ended()
    assert ended.cause is Cause.CANCELLED
    assert b"saved" in await plain.log()


async def test_a_hangup_and_an_interrupt_leave_the_job_alone(plain: Harness) -> None:
    await plain.launch(plain.workload("true"))
    job = await plain.until(attempt(), lambda job: job.beat)
    for number in (signal.SIGHUP, signal.SIGINT):
        os.kill(int(job.job_id), number)
    beat = await plain.until(attempt(), lambda seen: seen.beat and job.beat and seen.beat.at > job.beat.at)
    assert beat.state is JobState.RUNNING


async def test_a_flood_of_output_and_forged_messages_is_taken_as_it_comes(plain: Harness, root: Path) -> None:
    flood = (
        "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); "
        'printf \'wsdash/1 step {"phase":"p%s","state":"start"}\\nwsdash/1 ready {"x":1}\\n\' $i; done; '
        'printf \'wsdash/1 end {"cause":"nonsense"}\\nwsdash/1 beat {nonsense\\n\'; head -c 3000000 /dev/zero'
    )
    await plain.launch(plain.workload(flood, "echo after the flood"))
    await until(lambda: b"after the flood" in files(root).log.read_bytes()[-200:])
    job = await plain.job(attempt())
    assert job is not None
    assert job.state is JobState.RUNNING and len(job.steps) <= 400
    log = files(root).log.read_bytes()
    assert log.count(b"\0") == 3_000_000
    assert b"wsdash/1 beat {nonsense\n" in log


async def test_a_command_that_closes_its_output_does_not_end_the_job(plain: Harness) -> None:
    job = await plain.launch(plain.workload("exec >&- 2>&-; true"))
    assert job.state is JobState.RUNNING


async def test_the_job_of_a_full_disk_lives_and_its_end_is_recorded(
    tmp_path: Path, leaves_nothing_running: None
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = await asyncio.create_subprocess_exec(
        "mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk), stderr=asyncio.subprocess.DEVNULL
    )
    if await mount.wait() != 0:
        pytest.skip("needs the right to mount a small tmpfs")
    harness = Harness(
        lambda: LocalProvider(disk, isolation=Isolation("plain"), settings={"WSDASH_BEAT_S": "0.1"})
    )
    try:
        await harness.launch(harness.workload("true", stop="rm ~/filler; echo room again; echo the end"))

        async def is_full() -> bool:
            """A record that is written again frees a little of what it had."""
            fill = "cat /dev/zero >>~/filler; echo x >~/more"
            return (await harness.run_inside("sh", "-c", fill))[0] != 0

        await until(is_full)
        full = await harness.job(attempt())
        assert full is not None and full.beat is not None
        at = full.beat.at
        await harness.until(attempt(), lambda job: job.beat is not None and job.beat.at > at)
        with pytest.raises(ProviderError, match="no space"):
            await harness.provider.launch(workspace(), attempt(2), harness.workload("true"))
        await harness.provider.force_cancel(attempt())
        assert (await harness.ended()).cause is Cause.CANCELLED
        await harness.close()
    finally:
        await (await asyncio.create_subprocess_exec("umount", "-l", str(disk))).wait()
