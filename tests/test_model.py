"""Sentences and answers of the model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.backend import builders
from tests.backend.builders import NOW
from wsdash.model import Cause, End, StepResult, UnsavedTotals


@pytest.mark.parametrize(
    ("totals", "holds"),
    [
        (UnsavedTotals(), False),
        (UnsavedTotals(commits=1), True),
        (UnsavedTotals(stashes=1), True),
        (UnsavedTotals(files=1), True),
        (UnsavedTotals(is_whole=False), True),
    ],
)
def test_a_workspace_that_was_not_looked_at_in_full_may_hold_work(totals: UnsavedTotals, holds: bool) -> None:
    assert totals.holds is holds
    assert bool(totals.sentence) is holds


def test_amounts_are_in_words_and_their_number() -> None:
    assert UnsavedTotals(1, 2, 1).words == "1 commit, 2 stashes and 1 file"
    assert UnsavedTotals(files=3).words == "3 files"
    assert UnsavedTotals().words == ""


@pytest.mark.parametrize(
    ("url", "project"),
    [
        ("https://example.com/group/demo.git", "demo"),
        ("git@example.com:group/demo.git", "demo"),
        ("/home/ada/demo/", "demo"),
        (None, ""),
    ],
)
def test_a_project_is_named_by_the_last_part_of_its_address(url: str | None, project: str) -> None:
    assert replace(builders.workspace(), source_url=url).project == project


@pytest.mark.parametrize(
    ("ended_at", "exit_code", "failed"), [(None, None, False), (NOW, 0, False), (NOW, 3, True)]
)
def test_a_step_has_failed_once_it_has_ended_with_another_code_than_0(
    ended_at: float | None, exit_code: int | None, failed: bool
) -> None:
    assert StepResult("post_start", "build", NOW - 1, ended_at, exit_code).failed is failed


def test_an_end_without_a_message_still_has_a_headline() -> None:
    assert End(NOW, Cause.RUNNER_LOST).headline
    long = End(NOW, Cause.USER_CODE, 1, "first\nsecond\nthird")
    assert "first" not in long.tail(1) and "third" in long.tail(1)


def test_an_observation_of_attempts_has_the_last_seen_jobs_of_those_that_are_live() -> None:
    live, over = builders.attempt(2), builders.ended(1, NOW)
    live = replace(live, last_observation=builders.job(live))
    over = replace(over, last_observation=builders.job(over))
    found = builders.seen(at=NOW - 1).of([live, over, builders.attempt(3)])
    assert found.job_of(live.id) == live.last_observation
    assert found.job_of(over.id) is found.job_of("a3") is None
    assert found.at == NOW - 1
