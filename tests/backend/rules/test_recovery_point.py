"""The recovery point: the place of the last saved work, and its age."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.backend.builders import attempt
from wsdash.backend.rules.recovery_point import RecoveryPoint, recovery_point, sentence, words
from wsdash.model import Attempt, Cause, End, JobObservation, JobState

NOW = 1_000_000.0


def seen(number: int, **facts: object) -> Attempt:
    job = JobObservation(f"a{number}", JobState.RUNNING, "1")
    return replace(attempt(number), last_observation=replace(job, **facts))  # type: ignore[arg-type]


def ended(number: int, cause: Cause, code: int | None, **facts: object) -> Attempt:
    return replace(seen(number, **facts), end=End(NOW - 60, cause, code))


@pytest.mark.parametrize(
    ("attempts", "point"),
    [
        ([seen(1)], None),
        ([seen(1, saved_at=NOW - 20)], RecoveryPoint("checkpoint", NOW - 20)),
        ([ended(1, Cause.CANCELLED, 0)], RecoveryPoint("cache", NOW - 60)),
        ([ended(1, Cause.RUNNER_LOST, None, saved_at=NOW - 90)], RecoveryPoint("checkpoint", NOW - 90)),
        # The one that runs has kept nothing yet, and says why.
        (
            [ended(1, Cause.CANCELLED, 0), seen(2, checkpoint_error="full")],
            RecoveryPoint("cache", NOW - 60, "full"),
        ),
        ([seen(1, on_volume=True)], RecoveryPoint("volume")),
        ([ended(1, Cause.RUNNER_LOST, None, on_volume=True)], RecoveryPoint("volume")),
        ([seen(1, on_volume=True, saved_at=NOW - 5)], RecoveryPoint("volume", None, None, NOW - 5)),
        # On a runner that has not got the volume: only what this job keeps counts.
        (
            [ended(1, Cause.CANCELLED, 0, on_volume=True), seen(2, saved_at=NOW)],
            RecoveryPoint("checkpoint", NOW),
        ),
    ],
)
def test_the_recovery_point_is_the_last_thing_that_was_kept(
    attempts: list[Attempt], point: RecoveryPoint | None
) -> None:
    assert recovery_point(attempts, has_folder=False) == point
    assert recovery_point(attempts, has_folder=True) == RecoveryPoint("folder")


@pytest.mark.parametrize(
    ("point", "short", "long"),
    [
        (None, "not yet", "not saved yet: unpushed work is lost if its job dies"),
        (
            RecoveryPoint("folder"),
            "on disk",
            "saved on this machine's disk, where its folder stays when its job ends",
        ),
        (RecoveryPoint("volume"), "on volume", "saved on its runner's volume, which stays when its job ends"),
        (
            RecoveryPoint("volume", None, None, NOW - 20),
            "on volume",
            "saved on its runner's volume, which stays when its job ends; 20 s ago also by a checkpoint",
        ),
        (
            RecoveryPoint("checkpoint", NOW - 120, "no room", place="here"),
            "2 min ago",
            "saved 2 min ago by a checkpoint on this machine; not since: no room",
        ),
        (
            RecoveryPoint("checkpoint", NOW - 120, place="project"),
            "2 min ago",
            "saved 2 min ago by a checkpoint in the project",
        ),
        (
            RecoveryPoint("checkpoint", NOW - 120, place="elsewhere"),
            "2 min ago",
            "saved 2 min ago by a checkpoint on another machine",
        ),
        (RecoveryPoint("checkpoint", NOW - 120), "2 min ago", "saved 2 min ago by a checkpoint"),
    ],
)
def test_it_is_said_in_a_few_cells_and_in_a_sentence(
    point: RecoveryPoint | None, short: str, long: str
) -> None:
    assert words(point, NOW) == short
    assert sentence(point, NOW) == long
