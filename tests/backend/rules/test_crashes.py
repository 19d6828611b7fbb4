"""The ends that count as crashes, the episodes that they form, and the waits of restarts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend.builders import NOW, POLICY, attempt, ended, job, seen, workspace
from tests.backend.rules.deciding import decided
from wsdash.backend.rules.crashes import backoff_s, crashes
from wsdash.backend.rules.decide import (
    Cancel,
    GiveUp,
    Launch,
    Wait,
)
from wsdash.model import (
    Cause,
    JobState,
)


class TestRule5APlannedEndIsNoCrash:
    def test_the_jobs_own_deadline_is_followed_by_a_new_job_at_once(self) -> None:
        past = [ended(n, NOW - 100 + n, Cause.DEADLINE) for n in range(1, 12)]
        assert isinstance(decided(past, seen()), Launch)

    def test_a_deadline_right_after_the_start_is_a_crash_or_it_would_spin(self) -> None:
        quick = replace(ended(1, NOW, Cause.DEADLINE), launched_at=NOW - 5)
        assert crashes(workspace(), [quick]) == [quick]

    def test_an_outdated_job_is_cancelled_without_backoff(self) -> None:
        live = attempt()
        decision = decided([live], seen(job(live)), of=workspace(generation=2))
        assert isinstance(decision, Cancel)
        assert decision.cause is Cause.CANCELLED


class TestRule6Crashes:
    def test_the_first_is_replaced_at_once(self) -> None:
        assert isinstance(decided([ended(1, NOW)], seen()), Launch)

    def test_the_second_backs_off(self) -> None:
        decision = decided([ended(1, NOW - 5), ended(2, NOW)], seen())
        assert isinstance(decision, Wait)
        assert NOW < decision.until <= NOW + 15

    def test_a_success_does_not_end_the_episode_but_a_quiet_gap_does(self) -> None:
        old, recent = ended(1, NOW - 7 * 3600), ended(2, NOW)
        assert crashes(workspace(), [old, recent]) == [recent]
        older = ended(1, NOW - 5 * 3600)
        assert crashes(workspace(), [older, recent]) == [older, recent]

    def test_after_ten_restarts_it_waits_for_the_user(self) -> None:
        past = [ended(n, NOW - 1000 + n) for n in range(1, 12)]
        decision = decided(past, seen(), now=NOW + 10_000)
        assert isinstance(decision, GiveUp)
        assert "it broke" in decision.reason

    def test_a_wrong_configuration_stops_at_once_with_its_message(self) -> None:
        decision = decided([ended(1, NOW, Cause.CONFIGURATION)], seen())
        assert decision == GiveUp(ended(1, NOW, Cause.CONFIGURATION), "configuration, exit 1: it broke")

    @pytest.mark.parametrize("cause", [Cause.PERMISSION, Cause.QUOTA, Cause.NO_RUNNER])
    def test_what_another_job_would_meet_as_well_stops_at_once(self, cause: Cause) -> None:
        assert isinstance(decided([ended(1, NOW, cause)], seen()), GiveUp)

    @pytest.mark.parametrize("cause", [Cause.RUNNER_LOST, Cause.QUEUE])
    def test_a_lost_runner_or_a_queue_is_nobodys_fault_and_never_gives_up(self, cause: Cause) -> None:
        past = [ended(n, NOW - 1000 + n, cause) for n in range(1, 30)]
        assert isinstance(decided(past, seen(), now=NOW + 10_000), Launch)

    def test_the_providers_own_time_limit_is_a_planned_end(self) -> None:
        past = [ended(n, NOW - 1000 + n, Cause.TIMEOUT) for n in range(1, 30)]
        assert decided(past, seen()) == Launch(None, "a planned end, so a new job follows at once")

    def test_a_queue_is_no_failure(self) -> None:
        live = attempt(launched=NOW - 86_000)
        decision = decided([live], seen(job(live, JobState.QUEUED, beat_at=None, ready=False)))
        assert isinstance(decision, Wait)

    @pytest.mark.parametrize(
        ("state", "limit_s", "cause"),
        [
            (JobState.HELD, POLICY.held_s, Cause.QUEUE),
            (JobState.QUEUED, POLICY.queue_s, Cause.QUEUE),
            (JobState.STARTING, POLICY.start_s, Cause.RUNNER_LOST),
            (JobState.ENDING, POLICY.grace_s, Cause.CANCELLED),
        ],
    )
    def test_every_state_that_should_pass_has_a_deadline(
        self, state: JobState, limit_s: float, cause: Cause
    ) -> None:
        live = attempt(launched=NOW)
        waits = replace(job(live, state, beat_at=None, ready=False), started_at=None, state_since=NOW)
        assert decided([live], seen(waits)) == Wait(NOW + limit_s, "running, as desired")
        late = decided([live], seen(waits, at=NOW + limit_s), now=NOW + limit_s)
        assert isinstance(late, Cancel)
        assert (late.cause, late.reason.partition(" ")[0]) == (cause, state)

    def test_a_clock_that_was_set_back_does_not_stretch_the_wait(self) -> None:
        past = [ended(1, NOW + 3600), ended(2, NOW + 3601)]
        assert isinstance(decided(past, seen()), Launch)


@given(st.integers(1, 100), st.text(min_size=1))
def test_the_backoff_is_a_ladder_with_full_jitter(count: int, attempt_id: str) -> None:
    wait = backoff_s(count, attempt_id, POLICY)
    ceiling = 0.0 if count == 1 else POLICY.ladder_s[min(count - 2, 5)]
    assert 0 <= wait <= ceiling
    assert wait == backoff_s(count, attempt_id, POLICY)
