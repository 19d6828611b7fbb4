"""The local provider's jobs are killed, lost, stubborn and flooded: what is left, and what is recorded."""

# mypy: disable-error-code="type-abstract"

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from tests.backend.providers.contract import Harness, attempt, workspace
from tests.conftest import processes_of
from tests.waiting import until
from wsdash.backend.providers.errors import NotRunning
from wsdash.backend.providers.features import Shells
from wsdash.backend.providers.local.supervisor import process_tree
from wsdash.backend.system.supervision import Supervision
from wsdash.model import Cause, JobState

LEAVES = (
    # Ignores TERM; leaves its session; loses its parent; all three.
    "sh -c 'trap \"\" TERM; echo stubborn; while :; do sleep 60; done' &",
    "setsid sleep 61 &",
    "(setsid sh -c 'trap \"\" TERM HUP; sleep 62; sleep 63' &) &",
)


def job_shell(harness: Harness, supervisor: int) -> psutil.Process:
    (main,) = (
        child for child in psutil.Process(supervisor).children() if "job.sh" in " ".join(child.cmdline())
    )
    return main


async def nothing_runs(folder: Path) -> None:
    await until(lambda: not processes_of(folder), what=f"the end of {processes_of(folder)}")


@pytest.mark.parametrize("how", ["cancel", "force_cancel", "kill the job", "kill the supervisor"])
async def test_nothing_of_a_job_is_left_however_it_ends(plain: Harness, root: Path, how: str) -> None:
    job = await plain.launch(plain.workload(" ".join(LEAVES)))
    await until(lambda: len(psutil.Process(int(job.job_id)).children(recursive=True)) >= 5)
    if how == "cancel":
        await plain.provider.cancel(attempt(), 20)
    elif how == "force_cancel":
        await plain.provider.force_cancel(attempt())
    elif how == "kill the job":
        job_shell(plain, int(job.job_id)).kill()
    else:
        os.kill(int(job.job_id), signal.SIGKILL)
        await plain.until(attempt(), lambda job: job.state is JobState.LOST)
        await plain.provider.force_cancel(attempt())
    await plain.ended()
    await nothing_runs(root)


async def test_a_job_that_is_swept_up_is_not_taken_for_one_that_runs(
    plain: Harness, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sweeps holds the lock by which a supervisor is known that has no pid here."""
    job = await plain.launch(plain.workload("true"))
    os.kill(int(job.job_id), signal.SIGKILL)
    await plain.until(attempt(), lambda job: job.state is JobState.LOST)
    begun, may_end = threading.Event(), threading.Event()

    def sweep(*given: object) -> list[int]:
        begun.set()
        assert may_end.wait(60)
        return end_marked(*given)  # type: ignore[arg-type]

    end_marked = process_tree.end_marked
    monkeypatch.setattr(process_tree, "end_marked", sweep)
    ending = asyncio.create_task(plain.provider.force_cancel(attempt()))
    try:
        assert await asyncio.to_thread(begun.wait, 60)
        seen = await plain.job(attempt())
        assert seen is not None and seen.state is JobState.LOST
        assert Supervision(root.parent).is_gone(root.name, attempt().id)
        with pytest.raises(NotRunning):
            await plain.having(Shells).shell(workspace(), attempt(), ())
    finally:
        may_end.set()
        await ending
    assert (await plain.ended()).cause is Cause.RUNNER_LOST


async def test_a_job_may_be_swept_up_by_two_at_once(plain: Harness, root: Path) -> None:
    job = await plain.launch(plain.workload("true"))
    os.kill(int(job.job_id), signal.SIGKILL)
    await plain.until(attempt(), lambda job: job.state is JobState.LOST)
    other = plain.make()
    await asyncio.gather(*(provider.force_cancel(attempt()) for provider in (plain.provider, other)))
    assert (await plain.ended()).cause is Cause.RUNNER_LOST


def escape(how: str, tag: str) -> str:
    """A command line that starts a process which is called `tag` and leaves the job as far as it can."""
    if how == "an empty environment":
        return f"env -i setsid sh -c 'while :; do sleep 1; done' {tag} >/dev/null 2>&1 &"
    code = (
        "import os; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); os.chdir(chr(47)); "
        f'os.closerange(0, 4096); os.execve({sys.executable!r}, ["{tag}", "-c", "import time; time.sleep(600)"], {{}})'
    )
    return f"env -i {shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def called(tag: str) -> list[int]:
    return [process.pid for process in psutil.process_iter() if tag in _words(process)]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


ESCAPES = ("an empty environment", "a daemon without environment and files")


@pytest.mark.parametrize("how", ESCAPES)
async def test_a_process_that_leaves_the_job_outlives_no_end_of_it(plain: Harness, how: str) -> None:
    tag = f"escaped-{secrets.token_hex(4)}"
    job = await plain.launch(plain.workload(escape(how, tag)))
    await until(lambda: called(tag), what="the process that leaves")
    os.kill(int(job.job_id), signal.SIGKILL)
    await plain.until(attempt(), lambda job: job.state is JobState.LOST)
    assert called(tag)
    await plain.provider.force_cancel(attempt())
    assert called(tag) == []


@pytest.mark.parametrize("how", ESCAPES)
async def test_what_a_shell_in_the_workspace_has_started_ends_with_its_job(plain: Harness, how: str) -> None:
    tag = f"escaped-{secrets.token_hex(4)}"
    await plain.launch(plain.workload("true"))
    await plain.run_inside("sh", "-c", escape(how, tag))
    await until(lambda: called(tag), what="the process that leaves")
    await plain.provider.destroy(workspace())
    assert called(tag) == []


async def test_the_end_of_one_job_ends_nothing_of_another(plain: Harness) -> None:
    tag = f"escaped-{secrets.token_hex(4)}"
    await plain.launch(plain.workload("true"))
    other = workspace(2)
    await plain.provider.launch(other, attempt(2, other), plain.workload(escape(ESCAPES[0], tag)))
    await until(lambda: called(tag), what="the process that leaves")
    await plain.provider.destroy(workspace())
    assert called(tag) != []
    await plain.provider.force_cancel(attempt(2, other))
    assert called(tag) == []


def test_a_job_within_a_job_has_a_number_of_its_own_that_is_also_the_outer_ones(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from wsdash.backend.providers.local.supervisor import marks; "
        "outer = marks.take_on(Path('/outer')); inner = marks.take_on(Path('/inner')); me = os.getpid(); "
        "print(outer != inner, marks.Mark(Path('/x'), outer).is_of(me), marks.Mark(Path('/x'), inner).is_of(me), "
        "marks.Mark(Path('/x'), outer + 5 * 2**21).is_of(me), marks.Mark(Path('/x'), None).is_of(me))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "True", "False", "False"]


async def test_a_stopped_supervisor_is_woken_to_end_its_job(plain: Harness, root: Path) -> None:
    job = await plain.launch(plain.workload("true"))
    os.kill(int(job.job_id), signal.SIGSTOP)
    await plain.provider.force_cancel(attempt())
    assert (await plain.ended()).cause is Cause.CANCELLED
    await nothing_runs(root)


async def test_destroy_ends_what_still_runs(plain: Harness, root: Path) -> None:
    await plain.launch(plain.workload(" ".join(LEAVES)))
    await plain.provider.destroy(workspace())
    await nothing_runs(root)
    assert [list((root / name).iterdir()) for name in ("workspaces", "jobs", "trash")] == [[], [], []]
