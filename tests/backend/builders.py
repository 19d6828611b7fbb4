"""Short ways to say which workspace, attempt and observation a test is about."""

from __future__ import annotations

from dataclasses import replace

from wsdash.model import (
    Attempt,
    Beat,
    Cause,
    Desired,
    End,
    JobObservation,
    JobState,
    Observation,
    Policy,
    Workspace,
)

NOW = 1_700_000_000.0
POLICY = Policy()


def workspace(desired: Desired = Desired.RUNNING, generation: int = 1, policy: Policy = POLICY) -> Workspace:
    return Workspace(
        id="w1",
        name="demo",
        context="local",
        source_url="https://example.com/group/demo.git",
        ref="main",
        devfile_path="devfile.yaml",
        desired=desired,
        generation=generation,
        policy=policy,
        created_at=NOW - 1000,
        desired_changed_at=NOW - 1000,
    )


def attempt(number: int = 1, *, generation: int = 1, launched: float | None = NOW - 500) -> Attempt:
    intended = NOW - 501 if launched is None else launched - 1
    return Attempt(
        id=f"a{number}",
        workspace_id="w1",
        number=number,
        generation=generation,
        intended_at=intended,
        launched_at=launched,
        job_id=None if launched is None else f"job-{number}",
    )


def ended(
    number: int, at: float, cause: Cause = Cause.USER_CODE, *, generation: int = 1, exit_code: int | None = 1
) -> Attempt:
    live = attempt(number, generation=generation, launched=at - 300)
    return replace(live, end=End(at, cause, exit_code, "it broke"))


def job(
    of: Attempt, state: JobState = JobState.RUNNING, *, beat_at: float | None = NOW - 5, ready: bool = True
) -> JobObservation:
    started = of.launched_at or NOW - 500
    return JobObservation(
        attempt_id=of.id,
        state=state,
        job_id=f"job-{of.number}",
        started_at=None if state is JobState.QUEUED else started,
        ready_at=started + 1 if ready else None,
        beat=None if beat_at is None else Beat(beat_at),
        workspace_id=of.workspace_id,
        number=of.number,
        generation=of.generation,
    )


def seen(*jobs: JobObservation, at: float = NOW, since: float = NOW - 100_000) -> Observation:
    return Observation(at, True, since, jobs)


def unreachable() -> Observation:
    return Observation(NOW, False, NOW, (), "the runner cannot be reached")
