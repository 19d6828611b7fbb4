"""The contexts in the dashboard: choosing the default one, and removing."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests.screens.conftest import Running, notifications, until
from tests.screens.stub import StubService
from wsdash.backend.errors import UserError
from wsdash.screens.confirm import ConfirmScreen
from wsdash.screens.contexts import ContextsScreen
from wsdash.screens.widgets.line_view import LineView
from wsdash.screens.workspaces import WorkspacesScreen


async def contexts(pilot: Pilot[None]) -> ContextsScreen:
    await pilot.press("c")
    await until(pilot, lambda: isinstance(pilot.app.screen, ContextsScreen) and pilot.app.screen.selected)
    assert isinstance(pilot.app.screen, ContextsScreen)
    return pilot.app.screen


@pytest.mark.usefixtures("with_work")
async def test_another_context_is_made_the_default_one(stub: StubService, running: Running) -> None:
    async with running() as pilot:
        screen = await contexts(pilot)
        await pilot.press("j", "u")
        await until(pilot, lambda: ("use_context", "work") in stub.asked)
        assert "new workspaces are created in work" in notifications(pilot)
        await until(pilot, lambda: screen.selected is not None and screen.selected.name == "work")


@pytest.mark.usefixtures("with_work")
async def test_removing_asks_and_what_hinders_it_is_told(stub: StubService, running: Running) -> None:
    async with running() as pilot:
        await contexts(pilot)
        await pilot.press("j", "D")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await pilot.press("q")
        stub.refusals["remove_context"] = UserError(
            "the context work has workspaces: api", "Delete them first."
        )
        await pilot.press("D")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await pilot.press("right", "enter")
        await until(pilot, lambda: any("has workspaces: api" in text for text in notifications(pilot)))
        del stub.refusals["remove_context"]
        await pilot.press("D")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await pilot.press("right", "enter")
        await until(pilot, lambda: ("remove_context", "work") in stub.asked)


async def test_this_machine_cannot_be_changed_and_the_way_on_is_named(running: Running) -> None:
    async with running((80, 24)) as pilot:
        screen = await contexts(pilot)
        assert "a adds a GitLab" in screen.query_one("#below", LineView).text
        await pilot.press("enter")
        assert "nothing to change" in notifications(pilot)[-1]
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, WorkspacesScreen)
