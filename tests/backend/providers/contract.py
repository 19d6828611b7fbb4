"""The tests that every provider must pass: subclass `ProviderContract` and give it a `harness` fixture.

A test of an optional feature (`features.py`) is skipped where the provider has not got it.
The jobs of these tests need a POSIX shell with `sleep`, `cat`, `printf` and `test`, and nothing else.
"""

# mypy: disable-error-code="type-abstract"

from __future__ import annotations

import asyncio
import io
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest

from tests.repositories import git, make_repository
from tests.waiting import until
from wsdash.backend.archive import ArchiveError, tar
from wsdash.backend.job.shells import shells_of
from wsdash.backend.providers.base import Provider
from wsdash.backend.providers.errors import PermanentError
from wsdash.backend.providers.features import CheckoutQueries, Files, OnThisMachine, SecretStore, Shells
from wsdash.backend.providers.types import LogChunk
from wsdash.backend.providers.unsaved_work import answer, question
from wsdash.model import Attempt, Cause, Desired, JobObservation, JobState, Policy, Workspace
from wsdash.workload import Command, EnvVar, Secret, Source, Volume, Workload

F = TypeVar("F")
RUN = secrets.token_hex(3)
"""Tests run at once in several processes, and names of containers are everybody's."""
STAY = "while :; do sleep 60; done"
ENDED = JobState.ENDED


def workspace(number: int = 1) -> Workspace:
    return Workspace(
        id=f"w{number}x{RUN}",
        name=f"demo-{number}",
        context="test",
        source_url=None,
        ref=None,
        devfile_path=None,
        desired=Desired.RUNNING,
        generation=1,
        policy=Policy(),
        created_at=0.0,
        desired_changed_at=0.0,
    )


def attempt(number: int = 1, of: Workspace | None = None, generation: int = 1) -> Attempt:
    owner = of or workspace()
    return Attempt(f"{owner.id}-a{number}", owner.id, number, generation, intended_at=0.0)


@dataclass
class Harness:
    """A provider, ways to make a second one for the same context, and what its jobs need.

    `make` gives a provider as another process would have it. `image` is one that jobs can run in, None
    where images are not used. `patience_s` is how long a job may take to start or end.
    """

    make: Callable[[], Provider]
    image: str | None = None
    patience_s: float = 15.0
    reaches_files: ClassVar[bool] = True
    provider: Provider = field(init=False)

    def __post_init__(self) -> None:
        self.provider = self.make()

    def workload(self, *lines: str, stop: str = "", **more: object) -> Workload:
        """A workload whose postStart commands are these lines, named `one`, `two`, `three`..."""
        names = ("one", "two", "three", "four")
        commands = tuple(Command(name, line) for name, line in zip(names, lines, strict=False))
        pre_stop = (Command("bye", stop),) if stop else ()
        return Workload(image=self.image, post_start=commands, pre_stop=pre_stop, **more)  # type: ignore[arg-type]

    async def job(self, of: Attempt, provider: Provider | None = None) -> JobObservation | None:
        look = await (provider or self.provider).observe()
        found = [job for job in look.jobs if job.attempt_id == of.id]
        assert len(found) <= 1
        return found[0] if found else None

    async def until(
        self, of: Attempt, condition: Callable[[JobObservation], object], provider: Provider | None = None
    ) -> JobObservation:
        async def holds() -> JobObservation | None:
            job = await self.job(of, provider)
            return job if job is not None and condition(job) else None

        return await until(holds, self.patience_s, f"a state of {of.id}")

    async def launch(self, workload: Workload, of: Attempt | None = None) -> JobObservation:
        """Launches and waits until the job is ready."""
        launched = of or attempt()
        await self.provider.launch(workspace(), launched, workload)
        job = await self.until(launched, lambda job: job.ready_at is not None or job.state is ENDED)
        assert job.state is JobState.RUNNING, (job, await self.log(launched))
        return job

    async def ended(self, of: Attempt | None = None) -> JobObservation:
        return await self.until(of or attempt(), lambda job: job.state is ENDED)

    async def log(self, of: Attempt | None = None) -> bytes:
        return (await self.provider.read_log(of or attempt(), 0, 1_000_000)).data

    async def until_logged(self, of: Attempt, text: bytes) -> None:
        async def is_logged() -> bool:
            return text in await self.log(of)

        await until(is_logged, self.patience_s, f"{text!r} in the log of {of.id}")

    async def run_inside(self, *argv: str) -> tuple[int, bytes]:
        """Exit code and output of a command in the workspace, as `wsdash ssh NAME -- CMD` runs it."""
        command = await self.having(Shells).shell(workspace(), attempt(), argv)
        process = await asyncio.create_subprocess_exec(
            *command.argv,
            env=command.env,
            cwd=command.cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output

    async def pack(self) -> bytes:
        """The files of the first workspace, as a tar."""
        sink = io.BytesIO()
        await self.having(Files).pack(workspace(), sink)
        return sink.getvalue()

    def having(self, feature: type[F]) -> F:
        """The provider, as one that has the feature; skips the test where it has not."""
        if not isinstance(self.provider, feature):
            pytest.skip(f"the provider {self.provider.kind} has not got {feature.__name__}")
        return self.provider

    def needs_files(self) -> None:
        """Skips a test that looks into a workspace in a way that this provider has not got."""
        if not self.reaches_files:
            pytest.skip("its files are reached through ssh and a relay: tests/e2e/test_gitlab.py does that")

    async def close(self) -> None:
        for number in (1, 2):
            await self.provider.destroy(workspace(number))
        await self.provider.aclose()


class ProviderContract:
    """See the module."""

    # --- launch and observe ---------------------------------------------------------------------

    async def test_nothing_is_known_before_the_first_launch(self, harness: Harness) -> None:
        look = await harness.provider.observe()
        assert look.jobs == ()
        assert look.at > 0

    async def test_a_launched_job_gets_ready_and_says_whose_it_is(self, harness: Harness) -> None:
        job = await harness.launch(harness.workload("true"))
        assert (job.workspace_id, job.number, job.generation) == (workspace().id, 1, 1)
        assert job.job_id and job.isolation and job.created_at and job.started_at
        assert job.ready_at is not None and job.created_at <= job.started_at <= job.ready_at

    async def test_launching_twice_gives_one_job(self, harness: Harness) -> None:
        workload = harness.workload("echo run of the command")
        launches = [harness.provider.launch(workspace(), attempt(), workload) for _ in range(4)]
        first = {job.job_id for job in await asyncio.gather(*launches)}
        await harness.until(attempt(), lambda job: job.ready_at)
        again = await harness.provider.launch(workspace(), attempt(), workload)
        assert first == {again.job_id}
        await harness.until_logged(attempt(), b"run of the command")
        assert (await harness.log()).count(b"run of the command") == 1

    async def test_another_process_finds_the_job_and_does_not_double_it(self, harness: Harness) -> None:
        workload = harness.workload("true")
        job = await harness.launch(workload)
        async with _closing(harness.make()) as other:
            theirs, ours = await harness.job(attempt(), other), await harness.job(attempt())
            # When each of them first saw its heartbeat may differ, and so all of its times.
            assert theirs is not None and ours is not None
            assert (theirs.job_id, theirs.state) == (ours.job_id, ours.state)
            assert (theirs.number, theirs.generation) == (ours.number, ours.generation)
            assert (await other.launch(workspace(), attempt(), workload)).job_id == job.job_id
            await other.cancel(attempt(), 10)
        assert (await harness.ended()).cause is Cause.CANCELLED

    async def test_an_ended_attempt_is_not_launched_again(self, harness: Harness) -> None:
        await harness.launch(harness.workload("true"))
        await harness.provider.force_cancel(attempt())
        again = await harness.provider.launch(workspace(), attempt(), harness.workload("true"))
        assert again.state is ENDED

    async def test_jobs_of_several_attempts_are_told_apart(self, harness: Harness) -> None:
        await harness.launch(harness.workload("true"))
        await harness.launch(harness.workload("true"), attempt(2))
        await harness.provider.force_cancel(attempt())
        jobs = {job.number: job.state for job in (await harness.provider.observe()).jobs}
        assert jobs == {1: ENDED, 2: JobState.RUNNING}

    async def test_heartbeats_arrive(self, harness: Harness) -> None:
        await harness.launch(harness.workload("true"))
        first = await harness.until(attempt(), lambda job: job.beat)
        assert first.beat is not None
        at = first.beat.at
        later = await harness.until(attempt(), lambda job: job.beat is not None and job.beat.at > at)
        assert later.beat is not None and later.beat.at <= (await harness.provider.observe()).at + 1

    async def test_changes_tell_of_the_start_and_of_the_end(self, harness: Harness) -> None:
        seen: set[str] = set()
        changes = harness.provider.changes()
        listening = asyncio.ensure_future(_collect(changes, seen))
        try:
            await harness.launch(harness.workload("true"))
            await until(lambda: attempt().id in seen, harness.patience_s)
            await until(_quiet(seen), harness.patience_s)
            await harness.provider.force_cancel(attempt())
            await until(lambda: attempt().id in seen, harness.patience_s)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    # --- what runs ------------------------------------------------------------------------------

    async def test_a_failed_command_is_a_failed_step_and_the_workspace_runs(self, harness: Harness) -> None:
        job = await harness.launch(harness.workload("echo trying; exit 3", "echo still here"))
        steps = {step.command: step for step in job.steps if step.phase == "postStart"}
        assert steps["one"].failed and steps["one"].exit_code == 3
        assert not steps["two"].failed and steps["two"].ended_at is not None
        log = await harness.log()
        assert b"trying" in log[steps["one"].log_start : steps["one"].log_end]
        assert b"still here" in log[steps["two"].log_start : steps["two"].log_end]

    async def test_environment_values_arrive_as_written(self, harness: Harness) -> None:
        value = 'it\'s "$HOME" `id` \\ é🙂\nsecond line'
        await harness.launch(harness.workload('printf "[%s]" "$ODD"', env=(EnvVar("ODD", value),)))
        await harness.until_logged(attempt(), f"[{value}]".encode())

    async def test_a_secret_is_for_the_jobs_of_its_workspace_alone_until_that_is_gone(
        self, harness: Harness
    ) -> None:
        secret = (Secret("TOKEN"),)
        value = "it's-$HOME-`id`-\\-é"
        show = 'printf "[%s]" "$TOKEN"'
        await harness.having(SecretStore).keep_secrets(workspace(), {"TOKEN": value})
        await harness.launch(harness.workload(f"{show} >shown", secrets=secret))
        assert await harness.run_inside("cat", "shown") == (0, f"[{value}]".encode())
        other, first = workspace(2), attempt(1, workspace(2))
        await harness.provider.launch(other, first, harness.workload(show, secrets=secret))
        await harness.until_logged(first, b"The secret TOKEN is not set in this job")
        await harness.provider.force_cancel(attempt())
        await harness.provider.destroy(workspace())
        await harness.provider.launch(workspace(), attempt(2), harness.workload(show, secrets=secret))
        await harness.until_logged(attempt(2), b"[]")

    async def test_output_is_kept_byte_by_byte(self, harness: Harness) -> None:
        await harness.launch(harness.workload(r"printf '\033[2J\033]0;owned\007\000\377\r\n\233x'"))
        assert b"\x1b[2J\x1b]0;owned\x07\x00\xff\r\n\x9bx" in await harness.log()

    async def test_the_log_can_be_read_in_pieces(self, harness: Harness) -> None:
        await harness.launch(harness.workload("echo one; echo two; echo three"))
        whole = await harness.log()
        assert whole
        pieces = b""
        while chunk := (await harness.provider.read_log(attempt(), len(pieces), 7)).data:
            pieces += chunk
        assert pieces == whole
        beyond = await harness.provider.read_log(attempt(), len(whole) + 100, 7)
        assert (beyond.data, beyond.offset, beyond.ended) == (b"", len(whole) + 100, False)
        await harness.provider.force_cancel(attempt())
        assert (await harness.provider.read_log(attempt(), 0, 7)).ended

    async def test_the_log_of_an_unknown_attempt_is_empty(self, harness: Harness) -> None:
        assert await harness.provider.read_log(attempt(9), 0, 100) == LogChunk(b"", 0, 0, False)

    async def test_the_source_is_there_before_the_first_command(
        self, harness: Harness, tmp_path: Path
    ) -> None:
        repository = make_repository(tmp_path / "sample", files={"file": "from the repository\n"})
        source = Source(str(repository), "main", "sample")
        await harness.launch(harness.workload("cat file", source=source))
        assert b"from the repository" in await harness.log()

    async def test_a_restart_keeps_unsaved_work(self, harness: Harness, tmp_path: Path) -> None:
        repository = make_repository(tmp_path / "sample", files={"file": "original\n"})
        source = Source(str(repository), None, "sample")
        workload = harness.workload("cat file; echo unsaved >file", source=source)
        await harness.launch(workload)
        assert b"original" in await harness.log()
        await harness.provider.cancel(attempt(), 10)
        await harness.ended()
        await harness.launch(workload, attempt(2))
        assert b"unsaved" in await harness.log(attempt(2))

    async def test_volumes_keep_their_files_and_ephemeral_ones_do_not(self, harness: Harness) -> None:
        kept, fresh = Volume("kept", "/kept-volume"), Volume("fresh", "/fresh-volume", ephemeral=True)
        write = "echo a >/kept-volume/a && echo b >/fresh-volume/b || echo no volume is here"
        await harness.launch(harness.workload(write, volumes=(kept, fresh)))
        if b"no volume is here" in await harness.log():
            pytest.skip("no volume can be mounted in this isolation")
        await harness.provider.cancel(attempt(), 10)
        await harness.ended()
        await harness.provider.launch(
            workspace(), attempt(2), harness.workload("cat /*-volume/*", volumes=(kept, fresh))
        )
        await harness.until(attempt(2), lambda job: job.ready_at)
        log = await harness.log(attempt(2))
        assert b"a\n" in log and b"b\n" not in log

    @pytest.mark.parametrize(("url", "ref"), [("/nowhere/at/all", None), ("{repository}", "no-such-ref")])
    async def test_a_source_that_can_never_work_ends_as_a_configuration_error(
        self, harness: Harness, tmp_path: Path, url: str, ref: str | None
    ) -> None:
        repository = make_repository(tmp_path / "sample")
        source = Source(url.format(repository=repository), ref, "sample")
        await harness.provider.launch(workspace(), attempt(), harness.workload(source=source))
        job = await harness.ended()
        assert job.cause is Cause.CONFIGURATION
        assert job.message and (ref or "does not exist") in job.message

    # --- the end --------------------------------------------------------------------------------

    async def test_cancel_lets_the_job_run_pre_stop(self, harness: Harness) -> None:
        await harness.launch(harness.workload("true", stop="echo saved for later"))
        await harness.provider.cancel(attempt(), 20)
        job = await harness.ended()
        assert (job.cause, job.exit_code) == (Cause.CANCELLED, 0)
        assert b"saved for later" in await harness.log()
        await harness.provider.cancel(attempt(), 20)
        assert await harness.job(attempt()) == job

    async def test_a_job_that_will_not_end_is_ended_after_the_grace(self, harness: Harness) -> None:
        await harness.launch(harness.workload("true", stop=STAY))
        await harness.provider.cancel(attempt(), 0.3)
        assert (await harness.ended()).cause is Cause.CANCELLED

    async def test_cancel_before_the_launch_makes_the_launch_end_at_once(self, harness: Harness) -> None:
        await harness.provider.cancel(attempt(), 10)
        await harness.provider.launch(workspace(), attempt(), harness.workload("echo ran"))
        job = await harness.ended()
        assert job.cause is Cause.CANCELLED
        assert b"ran" not in await harness.log()

    async def test_cancel_while_a_command_runs_ends_the_job(self, harness: Harness) -> None:
        await harness.provider.launch(workspace(), attempt(), harness.workload("echo begun; sleep 60"))
        await harness.until(attempt(), lambda job: any(step.command == "one" for step in job.steps))
        await harness.provider.cancel(attempt(), 20)
        assert (await harness.ended()).cause is Cause.CANCELLED

    async def test_nothing_runs_when_force_cancel_returns(self, harness: Harness) -> None:
        await harness.launch(harness.workload("true", stop=STAY))
        await harness.provider.force_cancel(attempt())
        job = await harness.job(attempt())
        assert job is not None and job.state is ENDED
        await harness.provider.force_cancel(attempt())
        assert await harness.job(attempt()) == job

    async def test_destroy_leaves_nothing_of_the_workspace_and_all_of_others(self, harness: Harness) -> None:
        other = workspace(2)
        await harness.launch(harness.workload("echo mine >file"))
        await harness.provider.launch(other, attempt(1, other), harness.workload("true"))
        await harness.until(attempt(1, other), lambda job: job.ready_at)
        await harness.provider.force_cancel(attempt())
        for _ in range(2):
            await harness.provider.destroy(workspace())
            assert [job.workspace_id for job in (await harness.provider.observe()).jobs] == [other.id]
        if isinstance(harness.provider, OnThisMachine):
            assert not Path(harness.provider.folder(workspace())).exists()
        assert await harness.log() == b""

    # --- moving ---------------------------------------------------------------------------------

    async def test_files_that_were_packed_are_there_for_the_workspace_that_unpacks_them(
        self, harness: Harness, tmp_path: Path
    ) -> None:
        harness.needs_files()
        repository = make_repository(tmp_path / "sample", files={"file": "original\n"})
        workload = harness.workload("cat file ~/dot", source=Source(str(repository), None, "sample"))
        await harness.launch(workload)
        await harness.run_inside("sh", "-c", "echo unsaved >file; echo at home >~/dot; ln -s /nowhere link")
        packed = await harness.pack()
        assert packed
        other = workspace(2)
        async with harness.having(Files).unpack(other, io.BytesIO(packed), _nobody):
            pass
        await harness.provider.launch(other, attempt(1, other), workload)
        await harness.until(attempt(1, other), lambda job: job.ready_at)
        assert b"unsaved\nat home\n" in await harness.log(attempt(1, other))

    async def test_a_workspace_without_files_packs_as_an_empty_tar(self, harness: Harness) -> None:
        harness.needs_files()
        assert list(tar.read_members(io.BytesIO(await harness.pack()))) == []

    async def test_nothing_is_left_of_what_the_caller_could_not_commit(self, harness: Harness) -> None:
        harness.needs_files()
        await harness.launch(harness.workload("echo mine >file"))
        packed, other = await harness.pack(), workspace(2)
        with pytest.raises(LookupError):
            async with harness.having(Files).unpack(other, io.BytesIO(packed), _nobody):
                raise LookupError("the name is taken")
        if isinstance(harness.provider, OnThisMachine):
            assert not Path(harness.provider.folder(other)).exists()
        async with harness.having(Files).unpack(other, io.BytesIO(packed), _nobody):
            pass

    async def test_a_tar_that_leads_out_or_is_damaged_is_refused_and_nothing_is_left(
        self, harness: Harness
    ) -> None:
        harness.needs_files()
        leading_out = tar.header(tar.Member("projects/../../file", "file")) + tar.END
        cut_off = tar.header(tar.Member("projects/file", "file", size=5)) + b"fi"
        for data in (leading_out, cut_off, b"no tar " * 100):
            with pytest.raises(ArchiveError):
                async with harness.having(Files).unpack(workspace(), io.BytesIO(data), _nobody):
                    pytest.fail("the block was entered")
            assert list(tar.read_members(io.BytesIO(await harness.pack()))) == []

    async def test_files_are_never_brought_to_a_workspace_that_has_some(self, harness: Harness) -> None:
        harness.needs_files()
        await harness.launch(harness.workload("echo mine >file"))
        packed = await harness.pack()
        with pytest.raises(PermanentError):
            async with harness.having(Files).unpack(workspace(), io.BytesIO(packed), _nobody):
                pytest.fail("the block was entered")
        assert await harness.run_inside("cat", "file") == (0, b"mine\n")

    # --- inside ---------------------------------------------------------------------------------

    async def test_a_shell_stands_in_the_project_and_passes_the_exit_code_on(self, harness: Harness) -> None:
        await harness.launch(harness.workload("echo here >marker", env=(EnvVar("GREETING", "hello"),)))
        line = 'cat marker; echo "$GREETING"; test "$PWD" = "$PROJECT_SOURCE"; echo $?; exit 7'
        assert await harness.run_inside("sh", "-c", line) == (7, b"here\nhello\n0\n")

    async def test_unsaved_work_is_found_without_obeying_the_checkout(
        self, harness: Harness, tmp_path: Path
    ) -> None:
        harness.needs_files()
        repository = make_repository(tmp_path / "sample", files={"file": "original\n"})
        workload = harness.workload("echo changed >file", source=Source(str(repository), None, "sample"))
        await harness.launch(workload)
        await harness.provider.force_cancel(attempt())
        checkout = Path(harness.having(OnThisMachine).folder(workspace())) / "projects" / "sample"
        git(checkout, "checkout", "--quiet", "--detach")
        git(checkout, "commit", "--quiet", "--allow-empty", "--message=Only here")
        proof = tmp_path / "proof"
        git(checkout, "config", "core.fsmonitor", f"touch {proof}; false")
        printed = await harness.having(CheckoutQueries).ask_checkout(workspace(), workload, question())
        work = answer(printed, "sample")
        assert not proof.exists()
        assert work is not None
        assert work.uncommitted == (" M file",)
        assert [line.partition(" ")[2] for line in work.unpushed] == ["Only here"]
        assert work.home is not None
        assert work.totals.is_whole

    async def test_before_its_first_launch_a_workspace_has_nothing_unsaved(self, harness: Harness) -> None:
        harness.needs_files()
        printed = await harness.having(CheckoutQueries).ask_checkout(
            workspace(), harness.workload("true"), question()
        )
        work = answer(printed)
        assert work is not None and not work

    async def test_no_shell_where_nothing_runs(self, harness: Harness) -> None:
        harness.needs_files()
        with pytest.raises(PermanentError):
            await harness.having(Shells).shell(workspace(), attempt(), ())
        await harness.launch(harness.workload("true"))
        await harness.provider.force_cancel(attempt())
        with pytest.raises(PermanentError, match="ended"):
            await harness.having(Shells).shell(workspace(), attempt(), ())

    async def test_a_shell_is_told_of_before_any_heartbeat_does(self, harness: Harness) -> None:
        harness.needs_files()
        provider = harness.having(Shells)
        assert await provider.shells(workspace(), attempt()) is None
        await harness.launch(harness.workload("true"))

        async def count() -> int | None:
            return shells_of(await provider.shells(workspace(), attempt()))

        assert await count() == 0
        command = await provider.shell(workspace(), attempt(), ("sh", "-c", "echo in; cat"))
        pipe = asyncio.subprocess.PIPE
        shell = await asyncio.create_subprocess_exec(
            *command.argv, env=command.env, cwd=command.cwd, stdin=pipe, stdout=pipe
        )
        assert shell.stdout is not None and await shell.stdout.readline() == b"in\n"
        assert await count() == 1
        await shell.communicate(b"")
        assert await count() == 0

    async def test_capabilities_agree_with_what_jobs_get(self, harness: Harness) -> None:
        job = await harness.launch(harness.workload("true"))
        offered = await harness.provider.capabilities()
        assert offered.isolation == job.isolation
        assert offered.honours_image == (harness.image is not None)

    async def test_secrets_of_the_users_environment_stay_out(
        self, harness: Harness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_TOKEN", "secret-value")
        harness.provider = harness.make()
        await harness.launch(harness.workload("env"))
        assert b"secret-value" not in await harness.log()
        assert os.environ["MY_TOKEN"] == "secret-value"
        code, output = await harness.run_inside("sh", "-c", "env; cat /proc/*/environ 2>/dev/null")
        if (await harness.provider.capabilities()).isolation == "plain":
            code, output = await harness.run_inside("env")
        assert code == 0 or output
        assert b"secret-value" not in output


async def _nobody() -> set[str]:
    """No workspace is known."""
    return set()


@asynccontextmanager
async def _closing(provider: Provider) -> AsyncIterator[Provider]:
    try:
        yield provider
    finally:
        await provider.aclose()


async def _collect(changes: AsyncIterator[frozenset[str]], seen: set[str]) -> None:
    async for attempt_ids in changes:
        seen |= attempt_ids


def _quiet(seen: set[str]) -> Callable[[], bool]:
    """True once nothing has arrived since it was last asked."""

    def is_quiet() -> bool:
        was_quiet = not seen
        seen.clear()
        return was_quiet

    return is_quiet
