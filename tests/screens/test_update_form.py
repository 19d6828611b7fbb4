"""Updating a workspace: its devfile is read again, and nothing changes before the difference has been seen."""

from __future__ import annotations

import math

from textual.pilot import Pilot
from textual.widgets import Button, Input

from tests.screens.conftest import Running, notifications, until
from tests.screens.stub import StubService
from wsdash.backend.errors import NotSaved, UserError
from wsdash.backend.service import CreateRequest
from wsdash.screens.confirm import ConfirmScreen
from wsdash.screens.update_form import UpdateScreen
from wsdash.screens.widgets.line_view import LineScroll
from wsdash.screens.workspaces import WorkspacesScreen


def form_of(pilot: Pilot[None]) -> UpdateScreen:
    assert isinstance(pilot.app.screen, UpdateScreen)
    return pilot.app.screen


async def opened(pilot: Pilot[None]) -> None:
    await pilot.press("j", "U")
    await until(pilot, lambda: isinstance(pilot.app.screen, UpdateScreen))


async def previewed(pilot: Pilot[None]) -> None:
    await pilot.press("enter")
    await until(pilot, lambda: form_of(pilot).has_class("-previewed") and form_of(pilot).asked_at < math.inf)


async def test_the_difference_is_shown_before_anything_is_updated(
    stub: StubService, running: Running
) -> None:
    async with running((80, 24)) as pilot:
        await opened(pilot)
        form_of(pilot).query_one("#image", Input).value = "python:3.13"
        await previewed(pilot)
        name = form_of(pilot)._workspace.name
        assert stub.previews == [CreateRequest(None, image="python:3.13", name=name)]
        text = form_of(pilot).query_one("#job", LineScroll).text
        assert "-  export GREETING=hello" in text and "+  export GREETING='good day'" in text
        assert ("update", name) not in stub.asked
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkspacesScreen))
        assert ("update", name) in stub.asked
        assert f"{name} is updated" in notifications(pilot)


async def test_where_nothing_is_new_nothing_is_started_anew(stub: StubService, running: Running) -> None:
    stub.changes_of_update = ()
    async with running((80, 24)) as pilot:
        await opened(pilot)
        await previewed(pilot)
        assert "already runs its current devfile" in form_of(pilot).query_one("#job", LineScroll).text
        await pilot.press("enter")
        await pilot.pause()
        assert not any(verb == "update" for verb, _ in stub.asked)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkspacesScreen))


async def test_where_its_work_cannot_be_saved_the_user_is_asked_first(
    stub: StubService, running: Running
) -> None:
    stub.refusals["update"] = NotSaved("the work in it cannot be saved: no room", "Free some.")
    async with running((80, 24)) as pilot:
        for answer, wanted in (("no", False), ("yes", True)):
            await opened(pilot)
            await previewed(pilot)
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
            question = pilot.app.screen
            assert isinstance(question, ConfirmScreen)
            assert "The work in it cannot be saved: no room" in question.text
            question.query_one(f"#{answer}", Button).press()
            await until(pilot, lambda: not isinstance(pilot.app.screen, ConfirmScreen))
            assert any(verb == "update, unsaved" for verb, _ in stub.asked) is wanted
            if not wanted:
                await pilot.press("escape", "escape", "k")
                await until(pilot, lambda: isinstance(pilot.app.screen, WorkspacesScreen))


async def test_a_devfile_that_cannot_be_read_is_told_beside_the_fields(
    stub: StubService, running: Running
) -> None:
    stub.refusals["preview"] = UserError("the image is none", "Name another.", field="image")
    async with running((80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: form_of(pilot)._errors)
        assert form_of(pilot)._errors == {"image": ("the image is none", "Name another.")}
