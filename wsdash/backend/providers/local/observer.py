"""Observes jobs by their folders: reads files and asks the kernel about pids, starts no process.

An ended job never changes and is cached; for live ones, only rewritten files are read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from wsdash.backend.providers.local.layout import JobFiles, Layout
from wsdash.backend.providers.local.log_files import LogFiles
from wsdash.backend.providers.types import LogChunk
from wsdash.backend.system.files import json_files
from wsdash.backend.system.files.locks import is_locked
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.model import Beat, Cause, JobObservation, JobState, StepResult

_Signature = tuple[int, int, int] | None


@dataclass(slots=True)
class _Seen:
    """The known state of one job, with the signatures of the files that it comes from."""

    base: JobObservation
    supervisor: ProcessIdentity
    state_signature: _Signature = None
    beat_signature: _Signature = None


class Observer:
    """Caches the files' contents between two polls. Used from one thread at a time."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._ended: dict[str, JobObservation] = {}
        self._living: dict[str, _Seen] = {}
        self._files: dict[str, JobFiles] = {}

    def look(self) -> tuple[JobObservation, ...]:
        """Return every job that was started here and is not destroyed. Raises OSError if the folder cannot be read."""
        names = {entry.name for entry in os.scandir(self._layout.jobs) if not entry.name.startswith(".")}
        for known in (self._ended, self._living, self._files):
            for gone in known.keys() - names:
                del known[gone]
        found = (self.look_at(name) for name in sorted(names))
        return tuple(job for job in found if job is not None)

    def look_at(self, attempt_id: str) -> JobObservation | None:
        """Return one job; None if the attempt never had one."""
        if attempt_id in self._ended:
            return self._ended[attempt_id]
        files = self._files.get(attempt_id)
        if files is None:
            files = self._files[attempt_id] = JobFiles(self._layout.jobs / attempt_id)
        ending = json_files.read(files.exit)
        seen = self._read(attempt_id, files)
        if ending is None and seen is not None:
            job = self._living_job(files, seen)
            if job is not None:
                return job
            # It may have ended between the two reads.
            ending, seen = json_files.read(files.exit), self._read(attempt_id, files)
            if ending is None and seen is not None:
                return _unwatched(seen, files)
        if ending is None:
            return None
        base = seen.base if seen is not None else _base(attempt_id, files)
        return self._remember(attempt_id, _ended(base, ending))

    def _remember(self, attempt_id: str, job: JobObservation) -> JobObservation:
        self._living.pop(attempt_id, None)
        self._ended[attempt_id] = job
        return job

    def _read(self, attempt_id: str, files: JobFiles) -> _Seen | None:
        seen = self._living.get(attempt_id)
        if seen is None:
            supervisor = ProcessIdentity.from_record(json_files.read(files.supervisor))
            if supervisor is None:
                return None
            base = replace(_base(attempt_id, files), job_id=str(supervisor.pid))
            seen = self._living[attempt_id] = _Seen(base, supervisor)
        signature = _signature(files.state)
        if signature != seen.state_signature and (state := json_files.read(files.state)) is not None:
            seen.state_signature = signature
            seen.base = _with_state(seen.base, state)
        signature = _signature(files.beat)
        if signature != seen.beat_signature and (beat := _beat(json_files.read(files.beat))) is not None:
            seen.beat_signature = signature
            seen.base = replace(seen.base, beat=beat)
        return seen

    def _living_job(self, files: JobFiles, seen: _Seen) -> JobObservation | None:
        if seen.supervisor.is_alive():
            return seen.base
        # Check the lock as well: a supervisor in another pid namespace has no pid here, but holds its lock.
        if seen.supervisor.is_of_this_boot() and is_locked(files.lock):
            return seen.base
        return None


def _unwatched(seen: _Seen, files: JobFiles) -> JobObservation:
    """Describe a job whose supervisor died: after a reboot no part of it runs, otherwise parts of it may."""
    if seen.supervisor.is_of_this_boot():
        message = "the supervisor of the job died; parts of the job may still run"
        return replace(seen.base, state=JobState.LOST, cause=Cause.RUNNER_LOST, message=message)
    last = seen.base.beat.at if seen.base.beat is not None else _written_at(files)
    message = "the machine was restarted while the job ran"
    return replace(seen.base, state=JobState.ENDED, cause=Cause.RUNNER_LOST, message=message, ended_at=last)


def _written_at(files: JobFiles) -> float | None:
    try:
        return files.supervisor.stat().st_mtime
    except OSError:
        return None


def _base(attempt_id: str, files: JobFiles) -> JobObservation:
    spec = json_files.read(files.spec) or {}
    return JobObservation(
        attempt_id=attempt_id,
        state=JobState.STARTING,
        job_id=attempt_id,
        created_at=_number(spec.get("created_at")),
        isolation=_text(spec.get("isolation")),
        workspace_id=_text(spec.get("workspace")) or "",
        number=_integer(spec.get("number")) or 0,
        generation=_integer(spec.get("generation")) or 0,
    )


def _with_state(job: JobObservation, state: dict[str, object]) -> JobObservation:
    name = state.get("state")
    steps = state.get("steps")
    return replace(
        job,
        state=JobState(name) if name in ("starting", "running", "ending") else job.state,
        started_at=_number(state.get("started_at")),
        ready_at=_number(state.get("ready_at")),
        steps=tuple(map(_step, steps)) if isinstance(steps, list) else (),
    )


def _step(step: dict[str, object]) -> StepResult:
    return StepResult(
        phase=_text(step.get("phase")) or "",
        command=_text(step.get("command")),
        started_at=_number(step.get("started_at")) or 0.0,
        ended_at=_number(step.get("ended_at")),
        exit_code=_integer(step.get("exit_code")),
        log_start=_integer(step.get("log_start")),
        log_end=_integer(step.get("log_end")),
    )


def _beat(beat: dict[str, object] | None) -> Beat | None:
    at = _number((beat or {}).get("at"))
    if beat is None or at is None:
        return None
    return Beat(
        at=at,
        load=_number(beat.get("load")),
        memory=_integer(beat.get("memory")),
        disk_free=_integer(beat.get("disk_free")),
        active_at=_number(beat.get("active_at")),
        shells=_integer(beat.get("shells")),
    )


def _ended(job: JobObservation, ending: dict[str, object]) -> JobObservation:
    cause = ending.get("cause")
    return replace(
        job,
        state=JobState.ENDED,
        ended_at=_number(ending.get("at")),
        exit_code=_integer(ending.get("exit_code")),
        cause=Cause(str(cause)) if cause in list(Cause) else Cause.RUNNER_LOST,
        message=_text(ending.get("message")),
    )


def _signature(path: Path) -> _Signature:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def read_log(files: JobFiles, offset: int, limit: int) -> LogChunk:
    """Return up to `limit` bytes of a job's log from `offset` on. Blocks."""
    ended = files.exit.exists()
    log = LogFiles(files.log)
    return LogChunk(log.read(offset, limit), offset, log.size, ended)


def can_be_entered(job: JobObservation, files: JobFiles) -> bool:
    """Whether the sandbox or container exists, which it does once the job has sent a heartbeat or is ready."""
    if job.state is not JobState.RUNNING or (job.beat is None and job.ready_at is None):
        return False
    if job.isolation != "bubblewrap":
        return True
    inner = ProcessIdentity.from_record(json_files.read(files.sandbox))
    return inner is not None and inner.is_alive()
