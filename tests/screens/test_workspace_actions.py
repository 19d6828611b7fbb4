"""Actions on workspaces: the question before them, the refusals, and the message after them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.screens.conftest import Running, answered_yes, notifications, until
from tests.screens.stub import NOW, StubService, attempt, row
from wsdash.backend.errors import NotSaved, UserError, WorkspaceGone
from wsdash.model import Beat
from wsdash.screens.confirm import ConfirmScreen

LIVED_IN = Beat(NOW, shells=2)


@pytest.mark.parametrize(("key", "verb"), [("x", "stop"), ("r", "restart")])
@pytest.mark.parametrize(
    ("seen", "warning"),
    [
        ({"beat": LIVED_IN}, "api-gateway: 2 shells are open in it."),
        ({"checkpoint_error": "the disk is full"}, "cannot be saved (the disk is full)"),
    ],
)
async def test_ending_a_job_asks_where_somebody_is_in_it_or_work_cannot_be_saved(
    stub: StubService, running: Running, key: str, verb: str, seen: dict[str, object], warning: str
) -> None:
    first = attempt("api-gateway")
    assert first.last_observation is not None
    lived_in = replace(first, last_observation=replace(first.last_observation, **seen))  # type: ignore[arg-type]
    stub.rows = [row("api-gateway", last=lived_in), *stub.rows[1:]]
    async with running() as pilot:
        await pilot.press(key)
        assert warning in " ".join((await answered_yes(pilot)).split())
        await until(pilot, lambda: (verb, "api-gateway") in stub.asked)


@pytest.mark.parametrize(("key", "verb"), [("x", "stop"), ("r", "restart")])
async def test_a_shell_that_no_heartbeat_has_told_of_is_asked_about(
    stub: StubService, running: Running, key: str, verb: str
) -> None:
    stub.shells_now = {"api-gateway": 1}
    async with running() as pilot:
        await pilot.press(key)
        assert "api-gateway: a shell is open in it." in " ".join((await answered_yes(pilot)).split())
        await until(pilot, lambda: (verb, "api-gateway") in stub.asked)


async def test_a_shell_that_was_left_since_the_last_heartbeat_is_not_asked_about(
    stub: StubService, running: Running
) -> None:
    first = attempt("api-gateway")
    assert first.last_observation is not None
    stub.rows = [
        row(
            "api-gateway",
            last=replace(first, last_observation=replace(first.last_observation, beat=LIVED_IN)),
        ),
        *stub.rows[1:],
    ]
    stub.shells_now = {"api-gateway": 0}
    async with running() as pilot:
        await pilot.press("x")
        await until(pilot, lambda: ("stop", "api-gateway") in stub.asked)


async def test_keys_typed_while_it_is_looked_who_is_in_it_wait_for_the_question(
    stub: StubService, running: Running
) -> None:
    """Else the next `x` would be for what the question is laid over, or the question be answered unread."""
    stub.shells_now = {"api-gateway": 1}
    stub.looking.clear()
    async with running() as pilot:
        typing = asyncio.create_task(pilot.press("x", "j", "x"))
        await until(pilot, lambda: stub.asked_who == ["api-gateway"])
        assert not isinstance(pilot.app.screen, ConfirmScreen)
        stub.looking.set()
        await typing
        assert "a shell is open" in await answered_yes(pilot)
        await until(pilot, lambda: ("stop", "api-gateway") in stub.asked)
        assert ("stop", "billing") not in stub.asked


async def test_what_was_done_stands_in_the_messages_with_the_way_back(
    stub: StubService, running: Running
) -> None:
    async with running() as pilot:
        await pilot.press("x")
        await until(pilot, lambda: "api-gateway stops; S starts it again" in notifications(pilot))
        await pilot.press("space", "space", "r")
        await answered_yes(pilot)
        await until(pilot, lambda: "api-gateway, billing are restarted" in notifications(pilot))


async def test_a_question_about_a_deleted_workspace_never_acts_on_another_of_its_name(
    stub: StubService, running: Running
) -> None:
    async with running() as pilot:
        await pilot.press("D")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        again = replace(stub.rows[0].workspace, id="id-another")
        stub.change([replace(stub.rows[0], workspace=again), *stub.rows[1:]])
        stub.refusals["delete"] = WorkspaceGone("api-gateway")
        await answered_yes(pilot)
        await until(
            pilot, lambda: any("api-gateway was deleted meanwhile" in text for text in notifications(pilot))
        )
        assert ("delete", "another") not in stub.asked


async def test_of_marked_workspaces_only_the_willing_ones_are_asked_for(
    stub: StubService, running: Running
) -> None:
    async with running() as pilot:
        await pilot.press("asterisk", "S", "tab", "enter")
        await until(pilot, lambda: ("start", "docs-site") in stub.asked)
        await until(pilot, lambda: ("start", "search") in stub.asked)
        assert ("start", "api-gateway") not in stub.asked


async def test_a_refusal_is_told_with_its_remedy(stub: StubService, running: Running) -> None:
    stub.refusals["stop"] = UserError("api-gateway is being deleted", "Create it again once it is deleted.")
    async with running() as pilot:
        await pilot.press("x")
        await until(
            pilot,
            lambda: (
                "api-gateway is being deleted\nCreate it again once it is deleted." in notifications(pilot)
            ),
        )


async def test_work_that_cannot_be_saved_is_asked_about_before_the_job_ends(
    stub: StubService, running: Running
) -> None:
    stub.refusals["stop"] = NotSaved("the work in api-gateway cannot be saved: it takes too long")
    async with running() as pilot:
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        assert isinstance(pilot.app.screen, ConfirmScreen)
        assert "cannot be saved: it takes too long" in pilot.app.screen.text.replace("\n", " ")
        assert ("stop", "api-gateway") not in stub.asked
        await pilot.press("tab", "enter")
        await until(pilot, lambda: ("stop, unsaved", "api-gateway") in stub.asked)
