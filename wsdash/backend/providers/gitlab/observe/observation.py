"""Translates GitLab's pipelines into observations of attempts. Pure.

Every resulting time is on our clock: the skew is added to GitLab's times, and `job_clock.py` places those of the job.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from wsdash.backend.job.protocol import killed_by
from wsdash.backend.providers.gitlab.api.models import Pipeline
from wsdash.backend.providers.gitlab.ci import pipeline_name
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat
from wsdash.backend.providers.gitlab.messages import (
    CACHE_DAMAGED,
    CACHE_IS_LOCAL,
    CACHE_LOCKED,
    CACHE_MISSED,
    CACHE_OLDER,
    CACHE_UNSAVED,
    DEBUG_TRACE,
    DISK_FULL,
    LOG_CUT,
    NONE_ONLINE,
    SSH_DOWN,
    STUCK,
    SUPERSEDED_STATE,
    UNSAVED,
    VOLUME_MISSED,
    VOLUME_OLDER,
    VOLUME_UNMOUNTED,
    WAITS,
)
from wsdash.backend.providers.gitlab.observe import job_clock
from wsdash.backend.providers.gitlab.observe.failure_reasons import is_known, reason_of
from wsdash.backend.providers.gitlab.observe.job_clock import JobClock
from wsdash.model import Beat, Cause, JobObservation, JobState, StepResult, UnsavedTotals

TIMES = ("active", "saved", "started")
"""Facts of a heartbeat that are times on the job's clock."""
STATES = {
    "created": JobState.HELD,
    "waiting_for_resource": JobState.HELD,
    "waiting_for_callback": JobState.HELD,
    "preparing": JobState.HELD,
    "manual": JobState.HELD,
    "scheduled": JobState.HELD,
    "pending": JobState.QUEUED,
    "running": JobState.RUNNING,
    "canceling": JobState.ENDING,
    "success": JobState.ENDED,
    "failed": JobState.ENDED,
    "canceled": JobState.ENDED,
    "skipped": JobState.ENDED,
}


@dataclass(frozen=True, slots=True)
class Detail:
    """The results of further requests about one pipeline.

    Times of GitLab are on our clock; those of the log (`steps`, `ready_at`, `beat_at`) are on the job's.
    """

    started_at: float | None = None
    ended_at: float | None = None
    failure_reason: str | None = None
    tail: str | None = None
    """The last lines of the job's output."""
    exit_code: int | None = None
    steps: tuple[StepResult, ...] = ()
    ready_at: float | None = None
    beat_at: float | None = None
    """The last heartbeat in the log, for jobs that cannot rename their pipeline."""
    cache_is_local: bool = False
    log_is_cut: bool = False
    """Whether the log ends at its runner's limit."""


LOG_LATE_S = 60.0
"""Longest delay of a log that is not watched, in seconds: its end may be that much older than the answer."""


@dataclass(slots=True)
class Memory:
    """Results of earlier polls, by pipeline."""

    clocks: dict[int, JobClock] = field(default_factory=dict)
    details: dict[int, Detail] = field(default_factory=dict)
    stuck: frozenset[int] = frozenset()
    """Pipelines with a job that no runner takes."""
    why_stuck: str = NONE_ONLINE


def is_live(pipeline: Pipeline) -> bool:
    """Whether its job may still run; an unknown status counts as alive."""
    return STATES.get(pipeline.status) is not JobState.ENDED


def is_last_witness(pipeline: Pipeline, beat: Heartbeat) -> bool:
    """Whether only the log has the heartbeats of this job: it cannot rename its pipeline."""
    return is_live(pipeline) and (beat.at == 0 or beat.facts.get("via") == "none")


def clock_of(
    pipeline: Pipeline,
    beat: Heartbeat,
    memory: Memory,
    skew: float,
    now: float,
    looked_at: float | None = None,
) -> JobClock:
    """Return what a poll at `now` tells of a job's clock: nothing before its first heartbeat."""
    detail = memory.details.get(pipeline.id, Detail())
    in_log = detail.beat_at if is_last_witness(pipeline, beat) else None
    reading = in_log if in_log is not None else float(beat.at)
    if reading == 0.0:
        return job_clock.silent(now)
    reported = {"beat": reading}
    reported |= {fact: at for fact in TIMES if (at := _number(beat.facts, fact)) is not None}
    for place, step in enumerate(detail.steps):
        reported[f"step {place}"] = step.started_at
        if step.ended_at is not None:
            reported[f"end {place}"] = step.ended_at
    if detail.ready_at is not None:
        reported["ready"] = detail.ready_at
    ended_at = None
    if not is_live(pipeline):
        ended_at = detail.ended_at or _ours(pipeline.updated_at, skew)
    span = job_clock.Span(_ours(pipeline.created_at, skew), ended_at, beat.state in pipeline_name.FINAL)
    before = memory.clocks.get(pipeline.id)
    return job_clock.seen(before, (beat.seq, in_log or 0.0), reading, reported, now, looked_at, span)


def chosen(
    pipelines: Iterable[tuple[Pipeline, Heartbeat]],
) -> tuple[list[tuple[Pipeline, Heartbeat]], list[int]]:
    """Choose one pipeline for each attempt; return also the ids of live duplicates, left by a repeated launch.

    The oldest live one is chosen, because it holds the resource group; the oldest of all if none is live.
    """
    by_attempt: dict[str, list[tuple[Pipeline, Heartbeat]]] = {}
    for pipeline, beat in sorted(pipelines, key=lambda found: found[0].id):
        by_attempt.setdefault(beat.attempt_id, []).append((pipeline, beat))
    ones, doubles = [], []
    for found in by_attempt.values():
        one = next((f for f in found if is_live(f[0])), found[0])
        ones.append(one)
        doubles += [f[0].id for f in found if f is not one and is_live(f[0])]
    return ones, doubles


def observed(
    pipeline: Pipeline,
    beat: Heartbeat,
    memory: Memory,
    skew: float,
    now: float,
    tunnel_status: str | None = None,
) -> JobObservation:
    """Return the observation of one attempt's job. `tunnel_status` describes its tunnel to this machine."""
    state = STATES.get(pipeline.status, JobState.QUEUED)
    detail = memory.details.get(pipeline.id, Detail())
    known = memory.clocks.get(pipeline.id) or clock_of(pipeline, beat, memory, skew, now)
    clock = known if known.placed else None
    created_at = _ours(pipeline.created_at, skew)
    started_at = _not_before(created_at, _started_at(clock, detail))
    saved_at = None if clock is None else clock.at_most("saved", skew)
    if state is JobState.RUNNING and beat.state not in (pipeline_name.READY, pipeline_name.ENDING):
        state = JobState.RUNNING if detail.ready_at is not None else JobState.STARTING
    ended = state is JobState.ENDED
    cause, message = _end(pipeline, beat, detail, skew, saved_at) if ended else (None, None)
    if pipeline.status in WAITS:
        message = STUCK.format(memory.why_stuck) if pipeline.id in memory.stuck else WAITS[pipeline.status]
    ready_at = None if clock is None else clock.instant("ready")
    if ready_at is None and beat.state in (pipeline_name.READY, pipeline_name.ENDING):
        ready_at = started_at
    return JobObservation(
        attempt_id=beat.attempt_id,
        state=state,
        job_id=str(pipeline.id),
        url=pipeline.web_url,
        created_at=created_at,
        started_at=started_at,
        ended_at=(detail.ended_at or _ours(pipeline.updated_at, skew)) if ended else None,
        ready_at=_not_before(started_at, ready_at),
        beat=None if clock is None else _beat(pipeline, beat, clock, detail, skew, now),
        steps=() if clock is None else _steps(detail.steps, clock),
        exit_code=_exit_code(cause, beat, detail),
        cause=cause,
        message=message,
        isolation="a CI job",
        workspace_id=beat.workspace_id,
        number=beat.number,
        generation=beat.generation,
        state_since=_ours(pipeline.updated_at, skew),
        saved_at=saved_at,
        warning=_warning(beat, detail, ended=ended),
        on_volume=beat.facts.get("kept") == "volume",
        saves_on_exit=_saves_on_exit(beat, ended=ended),
        tunnel_status=tunnel_status if state in (JobState.STARTING, JobState.RUNNING) else None,
        checkpoint_error=UNSAVED.get(beat.facts.get("unsaved", "")),
        left=_left(beat.facts.get("left", "")) if ended else None,
    )


_LEFT = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})(\.more)?", re.ASCII)


def _left(text: str) -> UnsavedTotals | None:
    """Parse `left=COMMITS.STASHES.FILES[.more]`, as gitlab_leftover.sh writes it."""
    found = _LEFT.fullmatch(text)
    if found is None:
        return None
    return UnsavedTotals(int(found[1]), int(found[2]), int(found[3]), is_whole=found[4] is None)


NOTICES = {
    ("run", "unwritable"): DISK_FULL,
    ("debug", "trace"): DEBUG_TRACE,
    ("ssh", "down"): SSH_DOWN,
    ("cache", "missed"): CACHE_MISSED,
    ("cache", "older"): CACHE_OLDER,
    ("cache", "damaged"): CACHE_DAMAGED,
    ("cache", "locked"): CACHE_LOCKED,
    ("cache", "unsaved"): CACHE_UNSAVED,
    ("volume", "missed"): VOLUME_MISSED,
    ("volume", "older"): VOLUME_OLDER,
    ("volume", "unmounted"): VOLUME_UNMOUNTED,
}
"""Facts of a job about the place of its files, with their messages."""
UNSAVED_AT_END = (("run", "unwritable"), ("cache", "unsaved"), ("volume", "unmounted"), ("import", "missed"))
"""Facts of a job that cannot save its files at its end."""


def _saves_on_exit(beat: Heartbeat, *, ended: bool) -> bool:
    """Whether the job's files are kept after it has ended; an ended job reports the state that it saved."""
    if any(fact in beat.facts.items() for fact in UNSAVED_AT_END):
        return False
    return not ended or "state" in beat.facts or "from" not in beat.facts


def _warning(beat: Heartbeat, detail: Detail, *, ended: bool) -> str | None:
    notices = [words for fact, words in NOTICES.items() if fact in beat.facts.items()]
    if ended and not notices and beat.state in pipeline_name.FINAL and not _saves_on_exit(beat, ended=ended):
        notices.append(CACHE_UNSAVED)
    if "aside" in beat.facts:
        notices.append(SUPERSEDED_STATE.format(beat.facts["aside"]))
    if detail.log_is_cut and not ended:
        notices.append(LOG_CUT)
    return "; ".join(notices) or (CACHE_IS_LOCAL if detail.cache_is_local else None)


def _started_at(clock: JobClock | None, detail: Detail) -> float | None:
    """Return None until the job has sent a heartbeat: none is expected while images are pulled."""
    if detail.started_at is not None or clock is None:
        return detail.started_at
    return clock.instant("started") or clock.at


def _beat(
    pipeline: Pipeline, beat: Heartbeat, clock: JobClock, detail: Detail, skew: float, now: float
) -> Beat:
    late_s = LOG_LATE_S if is_last_witness(pipeline, beat) else 0.0
    at = clock.at if not clock.is_doubtful else clock.at_most("beat", skew) or clock.at
    if late_s and detail.log_is_cut:
        # No heartbeat can come any more. The runner, which GitLab hears of, reports the end of the job.
        at = now
    return Beat(
        min(now, at + late_s),
        load=_number(beat.facts, "load"),
        memory=_whole(beat.facts, "memory"),
        disk_free=_whole(beat.facts, "disk"),
        active_at=clock.instant("active"),
        shells=_whole(beat.facts, "shells"),
    )


def _steps(steps: tuple[StepResult, ...], clock: JobClock) -> tuple[StepResult, ...]:
    return tuple(
        replace(
            step,
            started_at=clock.instant(f"step {place}") or clock.at,
            ended_at=clock.instant(f"end {place}"),
        )
        for place, step in enumerate(steps)
    )


def _end(
    pipeline: Pipeline, beat: Heartbeat, detail: Detail, skew: float, saved_at: float | None
) -> tuple[Cause, str | None]:
    """Return the cause of the end. GitLab's failure reason has priority, except that a command failed: a job that a
    limit or its runner ends from outside reports a user's request itself.
    """
    by_job = pipeline_name.FINAL.get(beat.state)
    reason = reason_of(detail.failure_reason)
    ended_from_outside = pipeline.status == "failed" and is_known(detail.failure_reason)
    if not ended_from_outside or reason.cause is Cause.USER_CODE:
        if by_job in (Cause.CANCELLED, Cause.DEADLINE):
            return by_job, None
        if pipeline.status == "failed" and by_job in (None, Cause.USER_CODE) and _was_killed(detail):
            return Cause.KILLED, "\n".join(filter(None, (detail.tail, killed_by(detail.exit_code or 0))))
        if by_job is not None and (by_job is not Cause.USER_CODE or pipeline.status == "failed"):
            return by_job, detail.tail
    if pipeline.status == "canceled" or pipeline.status == "skipped":
        return Cause.CANCELLED, None
    if pipeline.status == "success":
        return Cause.CANCELLED, "it ended by itself"
    text = reason.text
    if reason.cause is Cause.TIMEOUT:
        text = f"{text}. {_saved_words(beat, detail.ended_at or _ours(pipeline.updated_at, skew), saved_at)}"
    lines = [line for line in (detail.tail, text) if line]
    return reason.cause, "\n".join(lines)


def _was_killed(detail: Detail) -> bool:
    """Whether a signal ended the job's script, for no reason that GitLab reports."""
    is_script = detail.failure_reason is None or reason_of(detail.failure_reason).cause is Cause.USER_CODE
    return is_script and detail.exit_code is not None and detail.exit_code > 128


def _exit_code(cause: Cause | None, beat: Heartbeat, detail: Detail) -> int | None:
    if cause in (Cause.CANCELLED, Cause.DEADLINE) and beat.state in pipeline_name.FINAL:
        return 0
    return detail.exit_code if cause in (Cause.USER_CODE, Cause.KILLED) else None


def _saved_words(beat: Heartbeat, ended_at: float | None, saved_at: float | None) -> str:
    """Describe what is saved of a job that saved no cache."""
    if "state" in beat.facts:
        return "All of its work is saved"
    if saved_at is None or ended_at is None:
        return "It has no checkpoint, and its cache was not saved"
    age = max(0, round(ended_at - saved_at))
    return f"Unpushed work is in a checkpoint of {age} s before; home and ignored files are as in the previous cache"


def _not_before(first: float | None, then: float | None) -> float | None:
    """Return the later of two times, because a job reports whole seconds."""
    return then if first is None or then is None else max(first, then)


def _ours(instant: float | None, skew: float) -> float | None:
    return None if instant is None else instant + skew


def _number(facts: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(facts.get(name, ""))
    except ValueError:
        return None
    return value if 0 <= value < 2**63 else None


def _whole(facts: Mapping[str, str], name: str) -> int | None:
    value = _number(facts, name)
    return None if value is None else int(value)
