"""The phase of a workspace, computed from the same facts as the decision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.backend.builders import NOW, POLICY, attempt, ended, job, seen, unreachable, workspace
from wsdash.backend.rules.status import has_lost_its_supervisor, status, words_for_seconds
from wsdash.model import Attempt, Cause, Desired, JobState, Observation, Phase, StepResult, Workspace

LIVE = attempt()
CANCELLED = replace(LIVE, cancel_requested_at=NOW - 1, cancel_reason="wanted stopped")


@pytest.mark.parametrize(
    ("of", "attempts", "observation", "phase"),
    [
        (workspace(), [], seen(), Phase.PENDING),
        (workspace(), [attempt(launched=None)], seen(), Phase.PENDING),
        (workspace(), [LIVE], seen(job(LIVE, JobState.QUEUED)), Phase.PENDING),
        (workspace(), [LIVE], seen(job(LIVE, ready=False)), Phase.STARTING),
        (workspace(), [LIVE], seen(job(LIVE)), Phase.RUNNING),
        (workspace(), [LIVE], seen(job(LIVE, beat_at=NOW - 40)), Phase.UNHEALTHY),
        (workspace(), [LIVE], seen(job(LIVE, JobState.LOST)), Phase.UNHEALTHY),
        (workspace(), [LIVE], unreachable(), Phase.UNKNOWN),
        (workspace(), [LIVE], seen(job(LIVE), at=NOW - 60), Phase.UNKNOWN),
        (workspace(), [CANCELLED], seen(job(LIVE)), Phase.STOPPING),
        (workspace(), [ended(1, NOW - 1), ended(2, NOW)], seen(), Phase.BACKING_OFF),
        (workspace(), [ended(1, NOW, Cause.CONFIGURATION)], seen(), Phase.FAILED),
        (workspace(Desired.STOPPED), [LIVE], seen(job(LIVE)), Phase.STOPPING),
        (workspace(Desired.STOPPED), [ended(1, NOW, Cause.CANCELLED)], seen(), Phase.STOPPED),
        (workspace(Desired.STOPPED), [], None, Phase.STOPPED),
        (workspace(Desired.DELETED), [LIVE], seen(job(LIVE)), Phase.DELETING),
        (replace(workspace(Desired.DELETED), deleted_at=NOW), [], seen(), Phase.DELETED),
    ],
)
def test_phase(of: Workspace, attempts: list[Attempt], observation: Observation, phase: Phase) -> None:
    found = status(of, attempts, observation, NOW)
    assert found.phase is phase
    assert found.reason


def test_what_was_seen_before_this_machine_was_started_says_nothing_of_now() -> None:
    look = seen(job(LIVE), at=NOW - 10)
    assert status(workspace(), [LIVE], look, NOW, booted_at=NOW - 11).phase is Phase.RUNNING
    found = status(workspace(), [LIVE], look, NOW, booted_at=NOW - 9)
    assert (found.phase, found.healthy) == (Phase.UNKNOWN, None)


def test_a_job_that_has_lost_its_supervisor_since_the_last_look_is_not_healthy() -> None:
    attempt = has_lost_its_supervisor(replace(LIVE, last_observation=job(LIVE)))
    found = status(workspace(), [attempt], seen(job(LIVE)).of([attempt]), NOW)
    assert (found.phase, found.healthy) == (Phase.UNHEALTHY, False)
    assert "supervisor died" in found.reason


def test_what_runs_after_several_crashes_is_in_a_crash_loop_until_it_has_run_for_an_hour() -> None:
    third = attempt(3)
    loop = [ended(1, NOW - 90), ended(2, NOW - 60), third]
    for observed, phase in [(job(third), Phase.RUNNING), (job(third, ready=False), Phase.STARTING)]:
        found = status(workspace(), loop, seen(observed), NOW)
        assert (found.phase, found.condition) == (phase, "crash-loop")
        assert "after crash 2: user-code" in found.reason
    assert status(workspace(), [loop[1], third], seen(job(third)), NOW).condition == ""
    calm = [ended(1, NOW - 3700), ended(2, NOW - 3601), third]
    assert status(workspace(), calm, seen(job(third)), NOW).condition == ""


def test_a_workspace_with_a_failed_step_is_degraded() -> None:
    steps = (StepResult("postStart", "install", NOW - 9, NOW - 8, 127),)
    assert status(workspace(), [LIVE], seen(replace(job(LIVE), steps=steps)), NOW).condition == "degraded"
    assert status(workspace(), [LIVE], seen(job(LIVE)), NOW).condition == ""


def test_a_failed_step_is_named_though_the_workspace_runs() -> None:
    failed = replace(job(LIVE), steps=(StepResult("postStart", "install", NOW - 9, NOW - 8, 127),))
    found = status(workspace(), [LIVE], seen(failed), NOW)
    assert found.phase is Phase.RUNNING
    assert "postStart install failed with exit 127" in found.reason


def test_a_step_that_runs_is_named_while_starting() -> None:
    starting = replace(job(LIVE, ready=False), steps=(StepResult("postStart", "install", NOW - 9),))
    assert status(workspace(), [LIVE], seen(starting), NOW).reason == "postStart install"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_durations_as_people_say_them(seconds: float, words: str) -> None:
    assert words_for_seconds(seconds) == words


def test_an_autostop_is_announced_with_its_reason_and_the_way_out() -> None:
    live = attempt(launched=NOW - 3300)
    running = replace(job(live), started_at=NOW - 3300)
    policy = replace(POLICY, max_hours=1)
    found = status(workspace(policy=policy), [live], seen(running), NOW)
    assert found.phase is Phase.RUNNING
    assert "autostop after 1 h comes in 5 min" in found.reason
    assert f"wsdash extend {workspace().name}" in found.reason
    longer = replace(workspace(policy=policy), autostop_not_before=NOW + 3600)
    assert "autostop" not in status(longer, [live], seen(running), NOW).reason


def test_an_autostop_that_waits_for_the_work_says_so() -> None:
    live = replace(attempt(launched=NOW - 3700), last_error="the work in demo cannot be saved")
    running = replace(job(live), started_at=NOW - 3700)
    found = status(workspace(policy=replace(POLICY, max_hours=1)), [live], seen(running), NOW)
    assert (found.phase, found.healthy) == (Phase.RUNNING, True)
    assert found.reason == "autostop after 1 h waits: the work in demo cannot be saved"
