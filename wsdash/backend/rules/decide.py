"""The rules: compute the one next step from desired state and observations. Pure; no clock, no I/O.

Every function here implements a rule of design section 3 and is named after it. The reconciler carries the
decision out; `wsdash plan` prints it; `wsdash.backend.rules.status` describes the same facts as a phase.
"""

from __future__ import annotations

from collections.abc import Sequence

from wsdash.backend.rules.autodelete import autodelete, calls_for_a_look
from wsdash.backend.rules.crashes import PLANNED, backoff_s, crashes, is_crash
from wsdash.frozen import dataclass
from wsdash.model import (
    Attempt,
    Cause,
    Desired,
    End,
    JobObservation,
    JobState,
    Observation,
    Policy,
    Workspace,
)

FOREVER = float("inf")
UNREACHABLE_RETRY_S = 10.0
READ_S = 30.0
"""A heartbeat is later than the poll that it belongs to by at most so many seconds: it is read after the poll began."""
STOP_AT_ONCE = frozenset({Cause.CONFIGURATION, Cause.PERMISSION, Cause.QUOTA, Cause.NO_RUNNER})
"""Causes that a new job would share, until the user has fixed what the message says."""
NOT_THE_USERS = frozenset({Cause.RUNNER_LOST, Cause.QUEUE})
"""Causes that never make the workspace give up, however many restarts there are."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`, or before something changes."""

    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class Launch:
    """Start a job: a new attempt, or an intended one that no provider has a job for yet."""

    attempt: Attempt | None
    reason: str


@dataclass(frozen=True, slots=True)
class Adopt:
    """Record the job that the provider has for an attempt whose launch got no answer."""

    attempt: Attempt
    job: JobObservation
    reason: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask a job to end gracefully.

    `cause` is how its end will be counted: `CANCELLED` is planned, anything else a crash. `autostop` also sets
    the workspace's desired state to stopped.
    """

    attempt: Attempt
    reason: str
    cause: Cause = Cause.CANCELLED
    autostop: bool = False


@dataclass(frozen=True, slots=True)
class ForceCancel:
    """End a job that did not end when asked, or that has lost its supervisor."""

    attempt: Attempt
    reason: str


@dataclass(frozen=True, slots=True)
class LookForUnsaved:
    """Search a stopped workspace for unsaved work: once after it stopped, and before an autodelete."""

    reason: str


@dataclass(frozen=True, slots=True)
class Destroy:
    """Remove everything that only this workspace owned; its tombstone stays."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Stop replacing the job until the user starts or restarts the workspace."""

    attempt: Attempt
    reason: str


Decision = Wait | Launch | Adopt | Cancel | ForceCancel | LookForUnsaved | Destroy | GiveUp


def decide(
    workspace: Workspace,
    attempts: Sequence[Attempt],
    observation: Observation | None,
    now: float,
) -> Decision:
    """Return the next step for one workspace.

    `attempts` are the workspace's, oldest first; ended ones of older generations may be left out.
    `now` is on the same clock as `observation.at`.
    """
    if workspace.deleted_at is not None:
        return Wait(FOREVER, "deleted")
    if observation is None or not observation.reachable:
        return _ignorance_is_not_death(observation, now)
    live = [attempt for attempt in attempts if attempt.is_live]
    unanswered = _intent_is_repaired(workspace, live, observation, now)
    if unanswered is not None:
        return unanswered
    if workspace.desired is not Desired.RUNNING:
        return _wind_down(workspace, attempts, live, observation, now)
    if len(live) > 1:
        return _one_survives(live, observation, workspace.policy, now)
    if live:
        return _keep_alive(workspace, live[0], observation, now)
    return _replace(workspace, attempts, now)


def end_of(attempt: Attempt, observation: Observation, policy: Policy, now: float) -> End | None:
    """Return how the attempt ended, if this observation shows that it has.

    A job that the provider no longer lists has ended too, once it has had time to appear in the list.
    """
    if not observation.reachable or attempt.end is not None:
        return None
    job = observation.job_of(attempt.id)
    if job is None:
        if attempt.launched_at is None:
            return _end_of_withdrawn(attempt, observation, policy, now)
        if observation.at - attempt.launched_at < policy.absent_s:
            return None
        return End(
            now, attempt.cancel_cause or Cause.RUNNER_LOST, None, "the provider no longer knows this job"
        )
    if job.state is not JobState.ENDED:
        return None
    cause = job.cause or Cause.USER_CODE
    if attempt.cancel_cause is not None and cause not in PLANNED:
        cause = attempt.cancel_cause
    return End(job.ended_at if job.ended_at is not None else now, cause, job.exit_code, job.message)


def _end_of_withdrawn(attempt: Attempt, observation: Observation, policy: Policy, now: float) -> End | None:
    """Return the end of a withdrawn launch, once the provider would list a job if it had one."""
    cancelled_at = attempt.cancel_requested_at
    if cancelled_at is None or observation.at - max(cancelled_at, attempt.intended_at) < policy.absent_s:
        return None
    return End(now, Cause.CANCELLED, None, "cancelled before it was launched")


def silent_for(attempt: Attempt, observation: Observation) -> float | None:
    """Return the seconds without a heartbeat that count against the job; None if none is due yet.

    Rule 8: only silence between the start of observation (or of the job) and the last successful poll
    counts.
    """
    job = observation.job_of(attempt.id)
    if job is None or job.state not in (JobState.STARTING, JobState.RUNNING) or job.started_at is None:
        return None
    last = job.beat.at if job.beat is not None else job.started_at
    if last > observation.at + READ_S:  # this machine's clock was set back since
        last = observation.watching_since
    return max(0.0, observation.at - max(last, job.started_at, observation.watching_since))


def is_healthy(attempt: Attempt, observation: Observation, policy: Policy) -> bool | None:
    """Return whether the attempt's job sends heartbeats in time; None if none is due yet."""
    job = observation.job_of(attempt.id)
    if not observation.reachable or job is None or job.state in (JobState.HELD, JobState.QUEUED):
        return None
    if job.state in (JobState.LOST, JobState.ENDED):
        return False
    silence = silent_for(attempt, observation)
    return silence is None or silence < policy.suspect_s


def _ignorance_is_not_death(observation: Observation | None, now: float) -> Wait:
    """Rule 8: an unreachable provider is no reason to replace a job."""
    problem = (observation and observation.last_error) or "nothing has been observed yet"
    return Wait(now + UNREACHABLE_RETRY_S, f"not known: {problem}")


def _intent_is_repaired(
    workspace: Workspace, live: Sequence[Attempt], observation: Observation, now: float
) -> Decision | None:
    """Design section 4: find an attempt whose launch got no answer by its key, then adopt or launch it."""
    for attempt in live:
        if attempt.launched_at is not None or attempt.cancel_requested_at is not None:
            continue
        job = observation.job_of(attempt.id)
        if job is not None:
            return Adopt(attempt, job, "the provider has the job of a launch that got no answer")
        if workspace.desired is not Desired.RUNNING:
            return Cancel(attempt, f"desired state {workspace.desired} before it was launched")
        if attempt.generation != workspace.generation or attempt is not live[-1]:
            return Cancel(attempt, "superseded before it was launched")
        if len(live) == 1:
            return Launch(attempt, "the provider has no job for the intended attempt")
    return None


def _wind_down(
    workspace: Workspace,
    attempts: Sequence[Attempt],
    live: Sequence[Attempt],
    observation: Observation,
    now: float,
) -> Decision:
    """Rules 3, 4 and 9: the desired state is stopped or deleted."""
    if live:
        attempt = next((a for a in live if a.cancel_requested_at is None), live[0])
        reason = f"desired state: {workspace.desired}"
        return _end_gracefully(attempt, reason, observation, workspace.policy, now)
    if workspace.desired is Desired.DELETED:
        return Destroy("desired state: deleted, and no job is left")
    planned = autodelete(workspace, attempts, now)
    if planned is None:
        if calls_for_a_look(workspace, attempts, now):
            return LookForUnsaved("its job has ended, so wsdash searches for unsaved work")
        return Wait(FOREVER, "stopped, as desired")
    if now >= planned.looks_at:
        return LookForUnsaved("its autodelete is near, so wsdash searches for unsaved work")
    if planned.is_kept and planned.record is not None:
        return Wait(planned.looks_at, f"stopped, as desired; not deleted: {planned.record.totals.sentence}")
    if now >= planned.due:
        return Destroy(
            f"stopped for {workspace.policy.delete_after_stopped_hours:g} h, the limit in your configuration"
        )
    until = min(planned.looks_at, planned.due)
    return Wait(until, "stopped, as desired; the next step is its autodelete")


def _one_survives(live: Sequence[Attempt], observation: Observation, policy: Policy, now: float) -> Decision:
    """Rule 7: keep the newest healthy job (the newest, if none is), and cancel the rest."""
    healthy = [a for a in live if is_healthy(a, observation, policy) and a.cancel_requested_at is None]
    keep = (healthy or list(live))[-1]
    others = [attempt for attempt in live if attempt is not keep]
    attempt = next((a for a in others if a.cancel_requested_at is None), others[0])
    return _end_gracefully(
        attempt, f"only one live job is allowed, and #{keep.number} stays", observation, policy, now
    )


def _keep_alive(workspace: Workspace, attempt: Attempt, observation: Observation, now: float) -> Decision:
    """Rules 2, 5 and 9 for the one live job of a workspace whose desired state is running."""
    policy = workspace.policy
    job = observation.job_of(attempt.id)
    if job is not None and job.state is JobState.LOST:
        return ForceCancel(attempt, "its supervisor died, and the rest of the job must end first")
    if attempt.cancel_requested_at is not None:
        return _end_gracefully(attempt, attempt.cancel_reason or "cancelled", observation, policy, now)
    if attempt.generation != workspace.generation:
        return Cancel(attempt, "a new attempt was requested")
    late = _overdue(attempt, job, policy, now)
    if isinstance(late, Cancel):
        return late
    silence = silent_for(attempt, observation)
    if silence is not None and silence >= policy.dead_s:
        reason = f"no heartbeat for {silence:.0f} s, although the provider answers"
        return Cancel(attempt, reason, cause=Cause.RUNNER_LOST)
    due = autostop_due(workspace, job)
    checks: list[float] = []
    if due is not None and now < due[0]:
        checks.append(due[0])
    elif due is not None and _tells_of_now(job, observation):
        return Cancel(attempt, due[1], autostop=True)
    elif due is not None:
        checks.append(now + UNREACHABLE_RETRY_S)
    if late is not None:
        checks.append(late)
    if silence is not None:
        limit = policy.suspect_s if silence < policy.suspect_s else policy.dead_s
        checks.append(max(now, observation.at) + limit - silence)
    return Wait(
        min(checks, default=FOREVER), "running, as desired" if job else "waiting for the job to appear"
    )


def _overdue(
    attempt: Attempt, job: JobObservation | None, policy: Policy, now: float
) -> Cancel | float | None:
    """Apply our own deadline of each transient state: wait for it, or return the cancel that is due."""
    if job is None:
        return None
    limits = {
        JobState.HELD: (policy.held_s, Cause.QUEUE),
        JobState.QUEUED: (policy.queue_s, Cause.QUEUE),
        JobState.STARTING: (policy.start_s, Cause.RUNNER_LOST),
        JobState.ENDING: (policy.grace_s, Cause.CANCELLED),
    }
    since = job.state_since or job.created_at or attempt.launched_at
    has_begun = job.state is JobState.STARTING and job.started_at is not None
    if job.state not in limits or has_begun or since is None:
        return None
    limit_s, cause = limits[job.state]
    if now < since + limit_s:
        return since + limit_s
    message = f": {job.message}" if job.message else ""
    return Cancel(attempt, f"{job.state} for {now - since:.0f} s, which is too long{message}", cause)


def _end_gracefully(
    attempt: Attempt, reason: str, observation: Observation, policy: Policy, now: float
) -> Decision:
    """Cancel, wait for the grace period, then force. Repeating a cancel is harmless, so a lost call is repeated."""
    job = observation.job_of(attempt.id)
    if job is not None and job.state is JobState.LOST:
        return ForceCancel(attempt, "its supervisor died, and the rest of the job must end")
    if attempt.cancel_requested_at is None:
        return Cancel(attempt, reason)
    if attempt.last_error is not None and attempt.force_cancelled_at is None:
        return Cancel(attempt, attempt.cancel_reason or reason, attempt.cancel_cause or Cause.CANCELLED)
    grace_s = policy.grace_s
    if attempt.cancel_cause is Cause.RUNNER_LOST:
        grace_s = min(grace_s, policy.lost_grace_s)
    deadline = attempt.cancel_requested_at + grace_s
    if now < deadline:
        return Wait(deadline, f"ending: {attempt.cancel_reason or reason}")
    if attempt.force_cancelled_at is None or now - attempt.force_cancelled_at >= policy.grace_s:
        return ForceCancel(
            attempt, f"still running {now - attempt.cancel_requested_at:.0f} s after the cancel"
        )
    return Wait(attempt.force_cancelled_at + policy.grace_s, "force-cancelled, waiting for the end")


def _replace(workspace: Workspace, attempts: Sequence[Attempt], now: float) -> Decision:
    """Rules 1, 5 and 6: the desired state is running, but there is no live job."""
    policy = workspace.policy
    last = attempts[-1] if attempts else None
    if last is None or last.generation != workspace.generation:
        return Launch(None, "desired state: running, and no job runs")
    if not is_crash(last, policy):
        return Launch(None, "a planned end, so a new job follows at once")
    end = last.end
    assert end is not None
    if end.cause in STOP_AT_ONCE:
        return GiveUp(last, end.tail(3))
    episode = crashes(workspace, attempts)
    if len(episode) > policy.start_limit and end.cause not in NOT_THE_USERS:
        return GiveUp(last, f"{len(episode)} crashes in one episode; the last: {end.tail(3)}")
    due = end.at + backoff_s(len(episode), last.id, policy)
    if end.at <= now < due:  # an end in the future means that the clock was set back
        return Wait(due, f"backing off after crash {len(episode)}: {end.headline}")
    return Launch(None, f"crash {len(episode)} of this episode: {end.headline}")


def autostop_due(workspace: Workspace, job: JobObservation | None) -> tuple[float, str] | None:
    """Rule 9: return when autostop is due, and why; None without an autostop policy, and during the setup.

    A user may have postponed it.
    """
    if job is None or job.started_at is None or job.ready_at is None or _runs_a_step(job):
        return None
    policy = workspace.policy
    limits: list[tuple[float, str]] = []
    if policy.max_hours is not None:
        limits.append((job.started_at + policy.max_hours * 3600, f"autostop after {policy.max_hours:g} h"))
    active_at = job.beat.active_at if job.beat is not None else None
    if policy.idle_minutes is not None and active_at is not None:
        idle_since = max(active_at, job.started_at, job.ready_at)
        limits.append(
            (idle_since + policy.idle_minutes * 60, f"autostop after {policy.idle_minutes:g} min idle")
        )
    if not limits:
        return None
    at, why = min(limits)
    return max(at, workspace.autostop_not_before or at), why


def _tells_of_now(job: JobObservation | None, observation: Observation) -> bool:
    """Whether the job's heartbeat is of the current watch: before that, wsdash or this machine's clock stood still."""
    return job is not None and (job.beat is None or job.beat.at >= observation.watching_since)


def _runs_a_step(job: JobObservation) -> bool:
    """Whether a setup step still runs: a Dev Container may be ready before its last commands have run."""
    return any(step.exit_code is None and step.phase != "preStop" for step in job.steps)
