"""The sentences before and after an action on workspaces."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.screens.stub import NOW, attempt, row
from wsdash.backend.store.reader import WorkspaceRow
from wsdash.model import Beat, Cause, End
from wsdash.screens.confirm_text import CONSEQUENCES, DONE, consequence, done, warnings


def lived_in(shells: int | None, problem: str = "") -> WorkspaceRow:
    live = attempt("api")
    assert live.last_observation is not None
    beat = None if shells is None else Beat(NOW, shells=shells)
    return row(
        "api",
        last=replace(
            live, last_observation=replace(live.last_observation, beat=beat, checkpoint_error=problem)
        ),
    )


@pytest.mark.parametrize("verb", CONSEQUENCES)
def test_one_workspace_and_several_are_named_in_their_number(verb: str) -> None:
    assert "Their" not in consequence(verb, 1) and "each" not in consequence(verb, 1)
    assert consequence(verb, 1) != consequence(verb, 2)
    assert done(verb, ["api", "web"]).startswith("api, web ")
    assert set(CONSEQUENCES) == set(DONE)


def test_files_are_promised_to_be_kept_only_where_they_are() -> None:
    assert {verb for verb in CONSEQUENCES if "kept" in consequence(verb, 1)} == {"stop", "restart"}


@pytest.mark.parametrize(
    ("beat", "now", "words"),
    [
        (2, None, ["api: 2 shells are open in it."]),
        (1, None, ["api: a shell is open in it."]),
        (2, 0, []),
        (None, 3, ["api: 3 shells are open in it."]),
        (None, None, []),
    ],
)
def test_shells_that_are_open_now_count_and_else_those_of_the_last_heartbeat(
    beat: int | None, now: int | None, words: list[str]
) -> None:
    assert warnings("stop", [lived_in(beat)], {"id-api": now}) == words


def test_a_checkpoint_that_fails_is_a_reason_to_ask_before_a_job_ends_gracefully() -> None:
    rows = [lived_in(None, "the disk is full"), row("web")]
    assert warnings("restart", rows) == [
        "api: work since its last checkpoint cannot be saved (the disk is full)."
    ]
    assert warnings("delete", rows) == warnings("start", rows) == []


def test_a_job_that_has_ended_has_no_shells() -> None:
    found = lived_in(2)
    assert found.attempt is not None
    over = replace(found, attempt=replace(found.attempt, end=End(NOW, Cause.RUNNER_LOST)))
    assert warnings("stop", [over]) == []
