"""A third provider: jobs of this process, of which all records and logs are in memory.

It runs what the others run, `job.sh` with the rendered workload, has the nine methods of `Provider` and no optional
feature. What it imports of wsdash is all that a further provider needs.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from wsdash.backend.job.log_text import last_words
from wsdash.backend.job.protocol import EXIT_CONFIGURATION, Message, Splitter
from wsdash.backend.job.render import idle_settings, render, scripts
from wsdash.backend.providers.base import Provider
from wsdash.backend.providers.errors import PermanentError
from wsdash.backend.providers.types import Capabilities, LogChunk, PollIntervals, ProviderSnapshot
from wsdash.model import Attempt, Beat, Cause, JobObservation, JobState, StepResult, Workspace
from wsdash.workload import Workload

ISOLATION = "plain"


@dataclass
class Job:
    """One attempt's job: what is known of it, its log, and the process that runs now."""

    seen: JobObservation
    log: bytearray = field(default_factory=bytearray)
    process: asyncio.subprocess.Process | None = None
    running: asyncio.Task[None] | None = None
    is_cancelled: bool = False

    @property
    def has_ended(self) -> bool:
        return self.seen.state is JobState.ENDED

    def kill(self) -> None:
        """End the process that runs now, and all that it started."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Afterwards no process of the job runs."""
        self.is_cancelled = True
        while self.running is not None and not self.running.done():
            self.kill()
            await asyncio.wait({self.running}, timeout=0.05)


@dataclass
class Host:
    """The state that outlives a provider: its jobs, and the folders of their workspaces below `root`."""

    root: Path
    beat_s: float = 10.0
    jobs: dict[str, Job] = field(default_factory=dict)
    listeners: set[asyncio.Queue[frozenset[str] | None]] = field(default_factory=set)

    def note(self, job: Job, **changes: object) -> None:
        """Something about the job has changed, of which listeners are told."""
        job.seen = replace(job.seen, **changes)  # type: ignore[arg-type]
        for listener in self.listeners:
            listener.put_nowait(frozenset({job.seen.attempt_id}))


class InMemoryProvider(Provider):
    """Looks at a host and starts jobs on it. Two of them at one host are as two processes."""

    kind = "memory"
    poll_intervals = PollIntervals(busy_s=0.2, steady_s=1.0, idle_s=1.0)

    def __init__(self, host: Host) -> None:
        self._host = host
        self._listeners: set[asyncio.Queue[frozenset[str] | None]] = set()

    async def launch(self, workspace: Workspace, attempt: Attempt, workload: Workload) -> JobObservation:
        job = self._host.jobs.get(attempt.id)
        if job is None:
            try:
                rendered = render(workload)
            except ValueError as error:
                raise PermanentError(f"the workload cannot become a job: {error}") from error
            job = self._host.jobs[attempt.id] = Job(_of(attempt, JobState.STARTING))
            job.running = asyncio.create_task(self._run(job, workspace, workload, rendered))
        return job.seen

    async def observe(self) -> ProviderSnapshot:
        return ProviderSnapshot(time.time(), tuple(job.seen for job in self._host.jobs.values()))

    async def changes(self) -> AsyncIterator[frozenset[str]]:
        queue: asyncio.Queue[frozenset[str] | None] = asyncio.Queue()
        self._listeners.add(queue)
        self._host.listeners.add(queue)
        try:
            while (attempt_ids := await queue.get()) is not None:
                yield attempt_ids
        finally:
            self._listeners.discard(queue)
            self._host.listeners.discard(queue)

    async def cancel(self, attempt: Attempt, grace_s: float) -> None:
        job = self._host.jobs.get(attempt.id)
        if job is None:
            now = time.time()
            seen = replace(_of(attempt, JobState.ENDED), ended_at=now, cause=Cause.CANCELLED)
            self._host.jobs[attempt.id] = Job(seen)
            return
        job.is_cancelled = True
        if job.process is not None and not job.has_ended:
            with suppress(ProcessLookupError):
                job.process.terminate()
            asyncio.get_running_loop().call_later(grace_s, job.kill)

    async def force_cancel(self, attempt: Attempt) -> None:
        await self.cancel(attempt, 0)
        await self._host.jobs[attempt.id].end()

    async def destroy(self, workspace: Workspace) -> str | None:
        for attempt_id, job in list(self._host.jobs.items()):
            if job.seen.workspace_id == workspace.id:
                await job.end()
                self._host.jobs.pop(attempt_id, None)
        await asyncio.to_thread(shutil.rmtree, self._host.root / workspace.id, ignore_errors=True)
        return None

    async def read_log(self, attempt: Attempt, offset: int, limit: int) -> LogChunk:
        job = self._host.jobs.get(attempt.id)
        if job is None:
            return LogChunk(b"", offset, 0, False)
        return LogChunk(bytes(job.log[offset : offset + limit]), offset, len(job.log), job.has_ended)

    async def capabilities(self) -> Capabilities:
        return Capabilities(ISOLATION, honours_image=False)

    async def aclose(self) -> None:
        for queue in self._listeners:
            queue.put_nowait(None)

    async def _run(self, job: Job, workspace: Workspace, workload: Workload, rendered: str) -> None:
        folder = self._host.root / workspace.id
        place = folder / job.seen.attempt_id
        await asyncio.to_thread(_prepare, folder, place, rendered)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "PROJECTS_ROOT": str(folder / "projects"),
            "WSDASH_BEAT_S": f"{self._host.beat_s:g}",
            **idle_settings(workspace.policy),
        }
        stages = {"fetch": Cause.SOURCE, "run": Cause.USER_CODE}
        if workload.source is None:
            del stages["fetch"]
        cause, status = Cause.CANCELLED, 0
        for stage, otherwise in stages.items():
            if job.is_cancelled:
                break
            if stage == "run":
                self._host.note(job, state=JobState.RUNNING, started_at=time.time())
            status = await self._stage(job, place, stage, env)
            if status == EXIT_CONFIGURATION and stage == "fetch":
                otherwise = Cause.CONFIGURATION
            cause = Cause.CANCELLED if job.is_cancelled else job.seen.cause or otherwise
            if status != 0:
                break
        end = {"ended_at": time.time(), "exit_code": status, "cause": cause}
        words = last_words(bytes(job.log), own_error=True)
        self._host.note(job, state=JobState.ENDED, message=words, **end)

    async def _stage(self, job: Job, place: Path, stage: str, env: dict[str, str]) -> int:
        """Run one entry of `job.sh`, and take in what it says."""
        job.process = await asyncio.create_subprocess_exec(
            "sh",
            *(str(place / "job.sh"), stage, str(place / "workload.sh")),
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        assert job.process.stdout is not None
        if job.is_cancelled:  # while it started
            job.kill()
        splitter = Splitter()
        while data := await job.process.stdout.read(65536):
            for part in splitter.feed(data):
                if isinstance(part, Message):
                    self._take_in(job, part)
                else:
                    job.log += part
        job.log += splitter.flush()
        return await job.process.wait()

    def _take_in(self, job: Job, message: Message) -> None:
        now, steps = time.time(), job.seen.steps
        phase, command = message.text("phase") or "", message.text("command")
        if message.kind == "beat":
            beat = Beat(now, active_at=message.number("active"), shells=message.integer("shells"))
            job.seen = replace(job.seen, beat=beat)
        elif message.kind == "ready":
            self._host.note(job, ready_at=now)
        elif message.kind == "end" and message.text("cause") == Cause.DEADLINE:
            job.seen = replace(job.seen, cause=Cause.DEADLINE)
        elif message.kind == "step" and message.text("state") == "start":
            step = StepResult(phase, command, now, log_start=len(job.log))
            self._host.note(job, steps=(*steps, step))
        elif message.kind == "step":
            ended = {"ended_at": now, "exit_code": message.integer("exit"), "log_end": len(job.log)}
            self._host.note(
                job,
                steps=tuple(
                    replace(step, **ended)  # type: ignore[arg-type]
                    if (step.phase, step.command, step.ended_at) == (phase, command, None)
                    else step
                    for step in steps
                ),
            )


def _of(attempt: Attempt, state: JobState) -> JobObservation:
    return JobObservation(
        attempt.id,
        state,
        job_id=f"memory-{attempt.id}",
        created_at=time.time(),
        isolation=ISOLATION,
        workspace_id=attempt.workspace_id,
        number=attempt.number,
        generation=attempt.generation,
    )


def _prepare(folder: Path, place: Path, rendered: str) -> None:
    for name in ("projects", "home", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    place.mkdir()
    for name, text in {**scripts(), "workload.sh": rendered.encode()}.items():
        (place / name).write_bytes(text)
