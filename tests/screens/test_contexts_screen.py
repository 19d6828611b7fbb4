"""Contexts in the dashboard: connecting a GitLab shows what it says before anything is changed."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.screens.conftest import Running, notifications, until
from tests.screens.stub import StubService
from wsdash.backend.errors import UserError
from wsdash.backend.providers.types import Finding
from wsdash.config.settings import Config, Context, GitLabSettings
from wsdash.screens.confirm import ConfirmScreen
from wsdash.screens.context_form import ConnectScreen
from wsdash.screens.contexts import ContextsScreen
from wsdash.screens.widgets.line_view import LineScroll, LineView
from wsdash.screens.workspaces import WorkspacesScreen

URL = "https://gitlab.example.com"
WORK = Context("work", "gitlab", GitLabSettings(URL, "group/app", tags=("large",)))


@pytest.fixture
def with_work(stub: StubService) -> None:
    stub.configured = Config(contexts={**Config().contexts, "work": WORK})


async def contexts(pilot: Pilot[None]) -> ContextsScreen:
    await pilot.press("c")
    await until(pilot, lambda: isinstance(pilot.app.screen, ContextsScreen) and pilot.app.screen.selected)
    assert isinstance(pilot.app.screen, ContextsScreen)
    return pilot.app.screen


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
