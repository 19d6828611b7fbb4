"""Connecting a GitLab: its answers are shown before anything is changed."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.screens.conftest import URL, Running, notifications, until
from tests.screens.stub import StubService
from tests.screens.test_contexts import contexts
from wsdash.backend.errors import UserError
from wsdash.backend.providers.types import Finding
from wsdash.screens.context_form import ConnectScreen
from wsdash.screens.contexts import ContextsScreen
from wsdash.screens.widgets.line_view import LineScroll, LineView


async def form(pilot: Pilot[None], key: str = "a", **fields: str) -> ConnectScreen:
    await contexts(pilot)
    await pilot.press(*(["j"] if key == "enter" else []), key)
    await until(pilot, lambda: isinstance(pilot.app.screen, ConnectScreen))
    screen = pilot.app.screen
    assert isinstance(screen, ConnectScreen)
    for name, value in fields.items():
        screen.query_one(f"#{name}", Input).value = value
    return screen


async def checked(pilot: Pilot[None], screen: ConnectScreen) -> str:
    await pilot.press("enter")
    await until(pilot, lambda: screen.has_class("-previewed"))
    return screen.query_one("#job", LineScroll).text


async def test_the_first_gitlab_is_connected_and_becomes_where_new_workspaces_are_made(
    stub: StubService, running: Running
) -> None:
    async with running((80, 24)) as pilot:
        screen = await form(pilot, name="work", url=URL, project="group/app", tags="large linux")
        text = await checked(pilot, screen)
        assert "token     the variable GITLAB_TOKEN" in text
        assert "ok        you are ada" in text
        assert stub.asked == [("reconcile", "dashboard")]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ContextsScreen))
        assert stub.asked[1:] == [("add_context", "work"), ("use_context", "work")]
        assert stub.checked[0].tags == ("large", "linux")
        listed = pilot.app.screen
        assert isinstance(listed, ContextsScreen)
        await until(pilot, lambda: listed.selected is not None and listed.selected.name == "work")
        await pilot.press("q")
        place = pilot.app.screen.query_one("#place", LineView)
        await until(pilot, lambda: "work: podman" in place.text)


async def test_the_name_of_this_machine_is_asked_for_and_shown(stub: StubService, running: Running) -> None:
    async with running((80, 24)) as pilot:
        screen = await form(pilot, name="work", url=URL, project="group/app", access_host="jump.example")
        await checked(pilot, screen)
        assert stub.checked[0].access_host == "jump.example"
        await pilot.press("escape")
        for name in screen.FIELDS:
            assert screen.query_one(f"#{name}", Input).region.bottom <= 24, "all fields are in the window"


async def test_a_token_that_is_typed_is_not_shown_and_not_kept_in_the_draft(
    stub: StubService, running: Running
) -> None:
    async with running((80, 24)) as pilot:
        screen = await form(pilot, name="work", url=URL, project="group/app", token="glpat-secret")
        assert "token     the one you typed" in await checked(pilot, screen)
        assert "glpat" not in str(screen._draft)
        assert "glpat" not in pilot.app.export_screenshot()
        await pilot.press("enter")
        await until(pilot, lambda: any("the keyring" in text for text in notifications(pilot)))


async def test_a_context_where_no_workspace_could_run_is_not_added(
    stub: StubService, running: Running
) -> None:
    stub.findings = (Finding("blocked", "your role is too low", "Ask for the role Developer."),)
    async with running((80, 24)) as pilot:
        screen = await form(pilot, name="work", url=URL, project="group/app")
        text = await checked(pilot, screen)
        assert "blocked   your role is too low\n          Ask for the role Developer." in text
        await pilot.press("enter")
        assert "no workspace could run there" in notifications(pilot)[-1]
        await pilot.press("escape")
        assert screen.query_one("#url", Input).value == URL
        assert ("add_context", "work") not in stub.asked


async def test_what_is_wrong_stands_beside_its_field(stub: StubService, running: Running) -> None:
    stub.refusals["check_context"] = UserError(
        "say which project", "You can use: group/app.", field="project"
    )
    async with running((80, 24)) as pilot:
        screen = await form(pilot, name="work", url=URL)
        await pilot.press("enter")
        error = screen.query_one("#project-error", LineView)
        await until(pilot, lambda: "You can use: group/app." in error.text)
        assert pilot.app.focused is screen.query_one("#project", Input)
        assert error.region.bottom <= 24


@pytest.mark.usefixtures("with_work")
async def test_a_context_is_changed_from_what_it_was(stub: StubService, running: Running) -> None:
    async with running() as pilot:
        screen = await form(pilot, "enter", project="group/other")
        await checked(pilot, screen)
        assert (stub.checked[0].url, stub.checked[0].tags) == (URL, ("large",))
        assert stub.checked[0].project == "group/other"
