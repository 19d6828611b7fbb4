"""The reason why an action cannot be done now."""

from __future__ import annotations

import pytest

from tests.screens.stub import row
from wsdash.model import Desired, Phase
from wsdash.screens.actions import BY_ID
from wsdash.screens.availability import Subject


def reason(action_id: str, *rows: object, connected: bool = True) -> str | None:
    return BY_ID[action_id].available(Subject(rows, connected))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("action_id", "phase", "desired", "expected"),
    [
        ("workspace.shell", Phase.RUNNING, Desired.RUNNING, None),
        ("workspace.shell", Phase.STOPPED, Desired.STOPPED, "api is stopped; r starts it"),
        ("workspace.shell", Phase.PENDING, Desired.RUNNING, "api is pending; wait until it runs"),
        ("workspace.start", Phase.STOPPED, Desired.STOPPED, None),
        ("workspace.start", Phase.FAILED, Desired.RUNNING, None),
        ("workspace.start", Phase.RUNNING, Desired.RUNNING, "api is running already; r restarts it"),
        ("workspace.stop", Phase.RUNNING, Desired.RUNNING, None),
        ("workspace.stop", Phase.STOPPED, Desired.STOPPED, "api is stopped already; S starts it"),
        ("workspace.restart", Phase.FAILED, Desired.RUNNING, None),
        ("workspace.restart", Phase.DELETING, Desired.DELETED, "api is being deleted"),
        ("workspace.delete", Phase.DELETING, Desired.DELETED, "api is being deleted already"),
    ],
)
def test_an_action_that_cannot_be_done_says_why(
    action_id: str, phase: Phase, desired: Desired, expected: str | None
) -> None:
    assert reason(action_id, row("api", phase, "because", None, desired=desired)) == expected


def test_without_a_workspace_the_next_step_is_named() -> None:
    assert reason("workspace.delete") == "no workspace is selected; a creates one"


def test_before_the_service_is_open_nothing_is_done() -> None:
    reason_shown = "the store is not open yet; m shows the messages"
    assert reason("workspace.restart", row("api"), connected=False) == reason_shown
    assert reason("workspace.create", connected=False) == reason_shown


def test_a_bulk_action_is_available_when_one_of_the_workspaces_allows_it() -> None:
    stopped = row("docs", Phase.STOPPED, "", None, desired=Desired.STOPPED)
    assert reason("workspace.start", row("api"), stopped) is None
    assert reason("workspace.start", row("api"), row("web")) == "api is running already; r restarts it"
