"""Computes a workspace's phase and its description from the same facts as the decision, so both always agree."""

from __future__ import annotations

from collections.abc import Sequence

from wsdash.backend.rules.autodelete import autodelete
from wsdash.backend.rules.crashes import crashes
from wsdash.backend.rules.decide import (
    FOREVER,
    Cancel,
    Decision,
    Destroy,
    GiveUp,
    Launch,
    Wait,
    autostop_due,
    decide,
    is_healthy,
    silent_for,
)
from wsdash.model import Attempt, Desired, JobObservation, JobState, Observation, Phase, Status, Workspace

WARNING_S = 600.0
"""Time between the announcement of an autostop and the autostop, in seconds."""
CRASH_LOOP_S = 3600.0
"""Two crashes of one episode, the last less than this many seconds ago, are a loop."""
STALE_S = 40.0
"""An observation older than this, in seconds, is outdated: the reconciler polls every fifteen seconds."""


def status(
    workspace: Workspace,
    attempts: Sequence[Attempt],
    observation: Observation | None,
    now: float,
    *,
    booted_at: float = 0.0,
) -> Status:
    """Return the phase of one workspace, from the same arguments as `decide`.

    `booted_at` is when this machine started: older observations are no longer valid for local jobs.
    """
    if workspace.deleted_at is not None:
        return Status(Phase.DELETED, "deleted")
    live = [attempt for attempt in attempts if attempt.is_live]
    fresh = (
        observation is not None
        and observation.reachable
        and now - observation.at <= STALE_S
        and observation.at >= booted_at
    )
    if live and not fresh:
        return _unknown(workspace, live[-1], observation, now)
    if workspace.desired is Desired.STOPPED and not live:
        return _stopped(workspace, attempts, now)
    decision = decide(workspace, attempts, observation, now)
    if workspace.desired is Desired.DELETED:
        return Status(
            Phase.DELETING, _wait_reason(decision, "waiting for its job to end, then its files are removed")
        )
    if workspace.desired is Desired.STOPPED:
        return Status(Phase.STOPPING, _wait_reason(decision, "its job is asked to end"))
    if not live:
        found = _of_none_live(workspace, decision)
    else:
        found = _of_live(workspace, live[-1], observation, decision, now)
    return _with_condition(found, crashes(workspace, attempts), live, observation, now)


def _with_condition(
    found: Status,
    episode: Sequence[Attempt],
    live: Sequence[Attempt],
    observation: Observation | None,
    now: float,
) -> Status:
    """Mark a running or starting workspace that crashed twice in the last hour, or has a failed step."""
    if found.phase not in (Phase.RUNNING, Phase.STARTING, Phase.PENDING):
        return found
    last = episode[-1].end if len(episode) > 1 else None
    if last is not None and now - last.at < CRASH_LOOP_S:
        message = f"after crash {len(episode)}: {last.headline}"
        reason = found.reason if last.headline in found.reason else f"{found.reason} ({message})"
        return Status(found.phase, reason, found.healthy, found.until, "crash-loop")
    job = observation.job_of(live[-1].id) if live and observation is not None else None
    if found.phase is Phase.RUNNING and job is not None and any(step.failed for step in job.steps):
        return Status(found.phase, found.reason, found.healthy, found.until, "degraded")
    return found


def has_lost_its_supervisor(attempt: Attempt) -> Attempt:
    """Return the attempt as the next poll will find it: its supervisor has ended since the last one."""
    if attempt.last_observation is None or attempt.last_observation.state in (JobState.LOST, JobState.ENDED):
        return attempt
    from dataclasses import replace  # most lists need it for none of their rows

    return replace(attempt, last_observation=replace(attempt.last_observation, state=JobState.LOST))


def _stopped(workspace: Workspace, attempts: Sequence[Attempt], now: float) -> Status:
    """Describe a stopped workspace. A pending autodelete comes first: the user may have to act on it."""
    last = _last_words(attempts)
    planned = autodelete(workspace, attempts, now)
    if planned is None:
        return Status(Phase.STOPPED, last)
    record = planned.record
    if planned.is_kept and record is not None:
        return Status(Phase.STOPPED, f"not deleted: {record.totals.sentence}; {last}")
    text = f"will be deleted in {words_for_seconds(planned.due - now)}"
    if record is None and not workspace.policy.delete_unsaved_work:
        text += " unless it has unsaved work"
    elif record is not None and record.totals.sentence:
        text += f", though {record.totals.sentence}"
    return Status(Phase.STOPPED, f"{text}; {last}", until=planned.due)


def _unknown(workspace: Workspace, attempt: Attempt, observation: Observation | None, now: float) -> Status:
    """Rule 8: an unobservable job is unknown, not dead; a launch that was never observed is pending."""
    if observation is not None and not observation.reachable:
        return Status(
            Phase.UNKNOWN, f"{observation.last_error or 'the provider does not answer'}; wsdash retries"
        )
    is_new = observation is None or attempt.intended_at > observation.at
    if is_new and now - attempt.intended_at <= STALE_S:
        return Status(Phase.PENDING, "being launched")
    seen = "" if observation is None else f" for {words_for_seconds(now - observation.at)}"
    return Status(
        Phase.UNKNOWN,
        f"no recent status{seen}: no reconciler is running (`wsdash daemon --detach` starts one)",
    )


def _of_live(
    workspace: Workspace,
    attempt: Attempt,
    observation: Observation | None,
    decision: Decision,
    now: float,
) -> Status:
    job = observation.job_of(attempt.id) if observation else None
    if attempt.cancel_requested_at is not None:
        reason = f"ending #{attempt.number}: {attempt.cancel_reason}"
        return Status(Phase.STOPPING, attempt.last_error or reason, until=_until(decision))
    if job is None or observation is None:
        return Status(Phase.PENDING, attempt.last_error or "being launched")
    if job.state in (JobState.HELD, JobState.QUEUED):
        return Status(Phase.PENDING, job.message or "waiting for a runner", until=_until(decision))
    if job.state is JobState.LOST:
        return Status(Phase.UNHEALTHY, "its supervisor died; the rest of the job is being ended", False)
    if isinstance(decision, Cancel) and decision.autostop and attempt.last_error:
        return Status(Phase.RUNNING, f"{decision.reason} waits: {attempt.last_error}", True)
    if not isinstance(decision, Wait):
        return Status(Phase.STOPPING, f"ending #{attempt.number}: {decision.reason}")
    if is_healthy(attempt, observation, workspace.policy) is False:
        silence = silent_for(attempt, observation) or 0.0
        return Status(
            Phase.UNHEALTHY, f"no heartbeat for {words_for_seconds(silence)}", False, _until(decision)
        )
    return _of_healthy(workspace, job, decision, now)


def _of_healthy(workspace: Workspace, job: JobObservation, decision: Wait, now: float) -> Status:
    """Describe a job that runs and sends heartbeats."""
    if job.ready_at is None:
        running = next((step for step in reversed(job.steps) if step.ended_at is None), None)
        return Status(Phase.STARTING, running.title if running else "starting", True)
    due = autostop_due(workspace, job)
    autostop = due[0] if due else None
    if due is not None and due[0] - now <= WARNING_S:
        text = f"{due[1]} comes in {words_for_seconds(due[0] - now)}; `wsdash extend {workspace.name}` postpones it"
        return Status(Phase.RUNNING, text, True, autostop)
    failed = [step for step in job.steps if step.failed]
    if failed:
        others = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        text = f"{failed[0].title} failed with exit {failed[0].exit_code}{others}; the workspace still runs"
        return Status(Phase.RUNNING, text, True, autostop)
    return Status(Phase.RUNNING, decision.reason, True, autostop)


def _of_none_live(workspace: Workspace, decision: Decision) -> Status:
    if isinstance(decision, GiveUp):
        return Status(Phase.FAILED, decision.reason, False)
    if isinstance(decision, Launch):
        return Status(Phase.PENDING, decision.reason)
    if isinstance(decision, Wait) and decision.reason.startswith("backing off"):
        return Status(Phase.BACKING_OFF, decision.reason, False, decision.until)
    return Status(Phase.PENDING, decision.reason, until=_until(decision))


def _wait_reason(decision: Decision, otherwise: str) -> str:
    return otherwise if isinstance(decision, Destroy) else decision.reason


def _last_words(attempts: Sequence[Attempt]) -> str:
    end = attempts[-1].end if attempts else None
    if end is None:
        return "not started yet"
    return f"#{attempts[-1].number} ended: {end.headline}"


def _until(decision: Decision) -> float | None:
    return decision.until if isinstance(decision, Wait) and decision.until != FOREVER else None


def words_for_seconds(seconds: float) -> str:
    """Return a duration in its largest unit: `12 s`, `5 min`, `3 h`, `2 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"
