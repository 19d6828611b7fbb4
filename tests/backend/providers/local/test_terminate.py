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

from tests.backend.providers.conftest import found
from tests.backend.providers.contract import ENDED, RUN, STAY, Harness, attempt, workspace
from tests.conftest import processes_of
from tests.waiting import until
from wsdash.backend.providers.errors import NotRunning, ProviderError
from wsdash.backend.providers.features import OnThisMachine, Shells
from wsdash.backend.providers.local import Isolation, LocalProvider
from wsdash.backend.providers.local.layout import JobFiles
from wsdash.backend.providers.local.sandbox.isolation import container_name
from wsdash.backend.providers.local.supervisor import process_tree
from wsdash.backend.providers.local.supervisor.memory import OomKills
from wsdash.backend.system import records
from wsdash.backend.system.supervision import Supervision
from wsdash.model import Cause, JobState
from wsdash.workload import Command, Source, Workload

LEAVES = (
    # Ignores TERM; leaves its session; loses its parent; all three.
    "sh -c 'trap \"\" TERM; echo stubborn; while :; do sleep 60; done' &",
    "setsid sleep 61 &",
    "(setsid sh -c 'trap \"\" TERM HUP; sleep 62; sleep 63' &) &",
)


def files(root: Path, number: int = 1) -> JobFiles:
    return JobFiles(root / "jobs" / attempt(number).id)


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
    return f"env -i {sys.executable} -c {shlex.quote(code)}"


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
    said = ended.message or ""
    assert "does not exist" in said or "not appear to be a git" in said
    assert "wsdash/1" not in said and "cloning" not in said


async def test_a_job_that_does_not_end_when_asked_is_said_to_have_been_killed(plain: Harness) -> None:
    await plain.launch(plain.workload("true", stop="trap '' TERM; while :; do sleep 1; done"))
    await plain.provider.cancel(attempt(), 0.5)
    ended = await plain.ended()
    assert (ended.cause, ended.message) == (Cause.CANCELLED, "it did not end in its time and was killed")


async def test_a_container_that_is_killed_from_outside_says_so(contained: Harness, probes: Path) -> None:
    await contained.launch(contained.workload("echo last words"))
    engine = found("podman", probes)
    program = engine.program if isinstance(engine, Isolation) else "docker"
    killing = await asyncio.create_subprocess_exec(program, "kill", container_name(attempt().id))
    assert await killing.wait() == 0
    ended = await contained.ended()
    assert (ended.cause, ended.message) == (Cause.KILLED, "last words\nkilled by signal 9")


@pytest.mark.parametrize(
    ("name", "own", "text"),
    [
        ("user.slice/memory.events", "0::/user.slice\n", "low 0\noom 3\noom_kill {}\n"),
        ("memory.events", "0::/outside/of/the/container\n", "oom_kill {}\n"),
        (
            "memory/a/memory.oom_control",
            "9:cpu:/x\n4:memory,hugetlb:/a\n0::/init\n",
            "under_oom 0\noom_kill {}\n",
        ),
        ("unified/x/memory.events", "0::/x\n", "oom_kill {}\n"),
    ],
)
def test_a_lack_of_memory_is_what_the_cgroup_counts(tmp_path: Path, name: str, own: str, text: str) -> None:
    counter = tmp_path / "cgroup" / name
    counter.parent.mkdir(parents=True)
    counter.write_text(text.format(7))
    (tmp_path / "own").write_text(own)
    kills = OomKills(tmp_path / "cgroup", tmp_path / "own")
    assert not kills.has_grown()
    counter.write_text(text.format(8))
    assert kills.has_grown()
    kills.begin()
    assert not kills.has_grown()


def test_without_a_cgroup_that_counts_nothing_is_called_a_lack_of_memory(tmp_path: Path) -> None:
    assert not OomKills(tmp_path / "nowhere", tmp_path / "none").has_grown()


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


async def test_a_lost_job_is_not_launched_a_second_time(plain: Harness) -> None:
    job = await plain.launch(plain.workload("printf x >>count"))
    os.kill(int(job.job_id), signal.SIGKILL)
    await plain.until(attempt(), lambda job: job.state is JobState.LOST)
    again = await plain.provider.launch(workspace(), attempt(), plain.workload("printf x >>count"))
    assert again.state is JobState.LOST


async def test_after_a_reboot_a_job_has_ended(plain: Harness, root: Path) -> None:
    await plain.launch(plain.workload("true"))
    await plain.provider.force_cancel(attempt())
    record = records.read(files(root).supervisor)
    assert record is not None
    records.write(files(root).supervisor, {**record, "boot_id": "another boot"})
    files(root).exit.unlink()
    plain.provider = plain.make()
    job = await plain.job(attempt())
    assert job is not None
    assert (job.state, job.cause) == (ENDED, Cause.RUNNER_LOST)
    assert job.message and "restarted" in job.message


async def test_a_pid_that_was_given_to_another_process_is_not_mistaken(plain: Harness, root: Path) -> None:
    await plain.launch(plain.workload("true"))
    await plain.provider.force_cancel(attempt())
    record = records.read(files(root).supervisor)
    assert record is not None
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    records.write(files(root).supervisor, {**record, "pid": bystander.pid})
    files(root).exit.unlink()
    plain.provider = plain.make()
    job = await plain.job(attempt())
    assert job is not None and job.state is JobState.LOST
    await plain.provider.force_cancel(attempt())
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


async def test_a_stopped_supervisor_is_woken_to_end_its_job(plain: Harness, root: Path) -> None:
    job = await plain.launch(plain.workload("true"))
    os.kill(int(job.job_id), signal.SIGSTOP)
    await plain.provider.force_cancel(attempt())
    assert (await plain.ended()).cause is Cause.CANCELLED
    await nothing_runs(root)


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
        assert (await harness.run_inside("sh", "-c", "cat /dev/zero >~/filler"))[0] != 0
        assert (await harness.run_inside("sh", "-c", "echo x >~/more"))[0] != 0
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


async def test_a_job_that_cannot_be_run_at_all_says_why(plain: Harness, root: Path) -> None:
    await plain.provider.launch(workspace(), attempt(), Workload(post_start=(Command("one", STAY),)))
    await plain.provider.force_cancel(attempt())
    spec = records.read(files(root).spec)
    assert spec is not None
    (root / "jobs" / attempt(2).id).mkdir()
    records.write(files(root, 2).spec, {**spec, "attempt": attempt(2).id, "stages": [_broken_stage(spec)]})
    await plain.provider.launch(workspace(), attempt(2), Workload())
    job = await plain.ended(attempt(2))
    assert (job.cause, job.exit_code) == (Cause.USER_CODE, 127)
    assert job.message and "cannot run" in job.message


def _broken_stage(spec: dict[str, object]) -> dict[str, object]:
    stages = spec["stages"]
    assert isinstance(stages, list)
    return {**stages[-1], "argv": ["/nowhere/sh"]}


async def test_destroy_ends_what_still_runs(plain: Harness, root: Path) -> None:
    await plain.launch(plain.workload(" ".join(LEAVES)))
    await plain.provider.destroy(workspace())
    await nothing_runs(root)
    assert [list((root / name).iterdir()) for name in ("workspaces", "jobs", "trash")] == [[], [], []]
