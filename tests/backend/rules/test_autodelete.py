"""An autodelete takes no unsaved work, says when it comes, and is announced once before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend.builders import NOW, POLICY, attempt, job, seen, workspace
from wsdash.backend.operations.unsaved_words import record_words
from wsdash.backend.rules.autodelete import AGAIN_S, autodelete, is_worth_asking, left_by, record_of
from wsdash.backend.rules.decide import Decision, Destroy, LookForUnsaved, Wait, decide
from wsdash.backend.rules.status import status
from wsdash.model import (
    Attempt,
    Cause,
    Desired,
    End,
    JobState,
    Policy,
    UnsavedRecord,
    UnsavedTotals,
    Workspace,
)

HOUR = 3600.0
DUE_AFTER_10_H = replace(POLICY, delete_after_stopped_hours=10.0)
CLEAN = UnsavedTotals()
WORK = UnsavedTotals(commits=1, files=1)
UNKNOWN = UnsavedTotals(is_whole=False)


def stopped(hours: float, record: UnsavedRecord | None = None) -> Workspace:
    """One that was stopped so many hours ago."""
    return replace(
        workspace(Desired.STOPPED, policy=DUE_AFTER_10_H),
        desired_changed_at=NOW - hours * HOUR,
        unsaved=record,
    )


def found(hours_ago: float, totals: UnsavedTotals, announced: float | None = None) -> UnsavedRecord:
    return UnsavedRecord(
        NOW - hours_ago * HOUR, totals, None if announced is None else NOW - announced * HOUR
    )


def decided(of: Workspace, policy: Policy = DUE_AFTER_10_H) -> Decision:
    return decide(replace(of, policy=policy), [], seen(), NOW)


def decision_text(of: Workspace, policy: Policy = DUE_AFTER_10_H) -> str:
    return status(replace(of, policy=policy), [], seen(), NOW).reason


def test_when_it_has_stopped_its_unsaved_work_is_looked_for() -> None:
    of = stopped(1)
    assert isinstance(decided(of), LookForUnsaved)
    assert decision_text(of) == "will be deleted in 9 h unless it has unsaved work; not started yet"


@pytest.mark.parametrize("hours", [1, 9.5, 100])
def test_unsaved_work_keeps_it_for_good_and_is_named(hours: float) -> None:
    of = stopped(hours, found(1, WORK))
    decision = decided(of)
    assert isinstance(decision, Wait)
    assert decision.until == NOW - HOUR + AGAIN_S
    assert decision_text(of) == "not deleted: 1 commit and 1 file are unsaved; not started yet"
    assert isinstance(decided(stopped(hours, found(7, WORK))), LookForUnsaved) or hours < 7


def test_what_cannot_be_told_counts_as_unsaved() -> None:
    of = stopped(100, found(1, UNKNOWN))
    assert isinstance(decided(of), Wait)
    assert "not deleted: it is unknown whether it has unsaved work" in decision_text(of)


def test_one_that_will_be_deleted_says_when() -> None:
    of = stopped(1, found(1, CLEAN))
    assert decision_text(of) == "will be deleted in 9 h; not started yet"
    assert status(of, [], seen(), NOW).until == NOW + 9 * HOUR


def test_it_is_announced_before_and_looked_into_once_more_at_the_end() -> None:
    announcing = stopped(9.1, found(9, CLEAN))
    assert isinstance(decided(announcing), LookForUnsaved)
    planned = autodelete(announcing, [], NOW)
    assert planned is not None and planned.announces
    record = record_of(CLEAN, NOW, planned.record, DUE_AFTER_10_H, announced_at=NOW)
    assert record.announced_at == NOW
    assert decided(replace(announcing, unsaved=record)) == Wait(
        planned.due, "stopped, as desired; the next step is its autodelete"
    )
    assert isinstance(decided(stopped(10.1, found(1, CLEAN, announced=1))), LookForUnsaved)
    assert isinstance(decided(stopped(10.1, found(0.01, CLEAN, announced=1.1))), Destroy)
    assert isinstance(decided(stopped(10.1, found(0.01, WORK, announced=1.1))), Wait)


def test_one_whose_time_came_while_nobody_looked_is_announced_first() -> None:
    of = stopped(100, found(95, CLEAN))
    planned = autodelete(of, [], NOW)
    assert planned is not None and planned.announces and planned.due == NOW + HOUR
    late = replace(of, unsaved=record_of(CLEAN, NOW, planned.record, DUE_AFTER_10_H, announced_at=NOW))
    decision = decided(late)
    assert isinstance(decision, Wait) and decision.until == NOW + HOUR


def test_what_was_found_before_it_ran_again_does_not_count() -> None:
    assert isinstance(decided(stopped(1, found(2, CLEAN, announced=2))), LookForUnsaved)
    ended = replace(attempt(), end=End(NOW - 10, Cause.CANCELLED))
    of = stopped(1, found(0.5, CLEAN))
    assert isinstance(decide(of, [ended], seen(), NOW), LookForUnsaved)


def test_only_the_users_word_lets_it_take_unsaved_work() -> None:
    policy = replace(DUE_AFTER_10_H, delete_unsaved_work=True)
    of = stopped(10.1, found(0.01, WORK, announced=1.1))
    assert isinstance(decided(of, policy), Destroy)
    assert "though 1 commit and 1 file are unsaved" in decision_text(of, policy)


@given(
    hours=st.floats(0.001, 1000),
    limit=st.floats(0.001, 1000),
    totals=st.builds(UnsavedTotals, st.integers(0, 1), st.integers(0, 1), st.integers(0, 1), st.booleans()),
    ago=st.floats(0, 1000),
    announced=st.none() | st.floats(0, 1000),
)
def test_nothing_is_ever_destroyed_without_a_fresh_look_that_found_nothing(
    hours: float, limit: float, totals: UnsavedTotals, ago: float, announced: float | None
) -> None:
    policy = replace(POLICY, delete_after_stopped_hours=limit)
    of = stopped(hours, found(ago, totals, announced))
    if isinstance(decided(of, policy), Destroy):
        assert hours >= limit
        assert totals == CLEAN
        assert ago <= 0.1
        assert announced is not None


def test_what_the_last_job_said_as_it_ended_is_what_its_workspace_has() -> None:
    def job_that_said(left: UnsavedTotals | None, number: int = 1) -> Attempt:
        one = attempt(number)
        observation = replace(job(one, JobState.ENDED), left=left)
        return replace(one, end=End(NOW - 100 + number, Cause.CANCELLED), last_observation=observation)

    never_launched = replace(attempt(2, launched=None), end=End(NOW, Cause.CANCELLED))
    assert left_by([]) is None
    assert left_by([job_that_said(WORK)]) == WORK
    assert left_by([job_that_said(WORK), never_launched]) == WORK
    assert left_by([job_that_said(CLEAN), job_that_said(None, 2)]) is None, "it was killed"
    assert left_by([job_that_said(CLEAN), attempt(2)]) is None, "it runs"


def test_a_look_that_a_user_asked_for_neither_hastens_nor_forgets_an_announcement() -> None:
    announced = UnsavedRecord(NOW - HOUR, CLEAN, announced_at=NOW - HOUR)
    assert record_of(CLEAN, NOW, announced, DUE_AFTER_10_H).announced_at == NOW - HOUR
    kept = record_of(WORK, NOW, announced, DUE_AFTER_10_H)
    assert record_of(CLEAN, NOW + 1, kept, DUE_AFTER_10_H).announced_at is None, "it is announced again"


def test_who_looks_at_a_workspace_has_it_asked_where_somebody_can_answer() -> None:
    runs = replace(attempt(), last_observation=job(attempt()))
    ended = replace(attempt(), end=End(NOW - 10, Cause.CANCELLED))
    known = replace(workspace(), unsaved=UnsavedRecord(NOW - 20, CLEAN))
    old = replace(workspace(), unsaved=UnsavedRecord(NOW - 60, CLEAN))
    assert is_worth_asking(workspace(), runs, NOW, has_folder=False)
    assert is_worth_asking(old, runs, NOW, has_folder=False)
    assert not is_worth_asking(known, runs, NOW, has_folder=False), "that is recent enough"
    assert is_worth_asking(known, ended, NOW, has_folder=True), "its job has ended since"
    assert not is_worth_asking(old, ended, NOW, has_folder=False), "nobody has its files"


def test_what_is_known_is_told_with_its_age_and_whether_it_is_all() -> None:
    assert record_words(UnsavedRecord(NOW - 20, CLEAN), NOW) == "nothing, as of 20 s ago"
    assert record_words(UnsavedRecord(NOW - 20, WORK), NOW, coarse=True).endswith(
        "as of less than a minute ago"
    )
    partly = UnsavedRecord(NOW - 20, replace(WORK, is_whole=False))
    assert record_words(partly, NOW) == (
        "1 commit and 1 file are unsaved, and there may be more, as of 20 s ago"
    )
