"""The question before a delete names what would be lost, and Cancel is the default."""

from __future__ import annotations

import math

import pytest
from textual.pilot import Pilot
from textual.widgets import Button

from tests.screens.conftest import Running, until
from tests.screens.stub import StubService
from wsdash.backend.service import UnsavedWork
from wsdash.screens.confirm import ConfirmScreen
from wsdash.screens.widgets.line_view import LineScroll
from wsdash.screens.workspaces import WorkspacesScreen


async def question(pilot: Pilot[None], *keys: str) -> ConfirmScreen:
    await pilot.press(*keys)
    await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
    assert isinstance(pilot.app.screen, ConfirmScreen)
    screen = pilot.app.screen
    await until(pilot, lambda: screen.asked_at < math.inf)
    return pilot.app.screen


async def test_enter_alone_deletes_nothing(stub: StubService, running: Running) -> None:
    async with running() as pilot:
        await question(pilot, "D")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkspacesScreen))
        assert ("delete", "api-gateway") not in stub.asked


async def test_a_clear_yes_deletes(stub: StubService, running: Running) -> None:
    async with running() as pilot:
        await question(pilot, "D")
        await pilot.press("right", "enter")
        await until(pilot, lambda: ("delete", "api-gateway") in stub.asked)


async def test_q_and_escape_and_a_second_d_do_not_delete(stub: StubService, running: Running) -> None:
    async with running() as pilot:
        for key in ("q", "escape"):
            await question(pilot, "D", "D")
            await pilot.press(key)
            await until(pilot, lambda: isinstance(pilot.app.screen, WorkspacesScreen))
        assert [what for what, _ in stub.asked] == ["reconcile"]


async def test_it_names_the_workspace_and_the_work_that_would_be_lost(
    stub: StubService, running: Running
) -> None:
    stub.unsaved = UnsavedWork((" M src/app.py", "?? notes\x1b[2J.txt"), ("1a2b3c4 Fix the parser",))
    async with running((80, 24)) as pilot:
        screen = await question(pilot, "D")
        await until(pilot, lambda: "this will be lost" in screen.text)
        assert "Its job ends, and all its files are removed for good." in screen.text
        assert "    M src/app.py" in screen.text
        assert "?? notes.txt" in screen.text
        assert "1a2b3c4 Fix the parser" in screen.text
        assert str(screen.query_one("#dialog").border_title) == "Delete api-gateway?"


async def test_all_that_would_be_lost_can_be_read_by_keyboard(stub: StubService, running: Running) -> None:
    stub.unsaved = UnsavedWork(tuple(f"?? notes-{number}.txt" for number in range(60)))
    async with running((80, 24)) as pilot:
        screen = await question(pilot, "D")
        await until(pilot, lambda: "notes-59.txt" in screen.text)
        text = screen.query_one(LineScroll)
        await pilot.press("G")
        await until(pilot, lambda: text.scroll_offset.y == text.max_scroll_y > 0)


async def test_it_says_that_it_is_looking_and_can_be_answered_before(
    stub: StubService, running: Running
) -> None:
    stub.released.clear()
    async with running() as pilot:
        screen = await question(pilot, "D")
        await until(pilot, lambda: "api-gateway: looking for unsaved work ..." in screen.text)
        await pilot.press("right", "enter")
        await until(pilot, lambda: ("delete", "api-gateway") in stub.asked)


async def test_not_knowing_is_said(stub: StubService, running: Running) -> None:
    stub.unsaved = None
    async with running() as pilot:
        screen = await question(pilot, "D")
        await until(pilot, lambda: "whether there is unsaved work is not known." in screen.text)


async def test_several_workspaces_are_all_named(stub: StubService, running: Running) -> None:
    async with running() as pilot:
        screen = await question(pilot, "space", "space", "D")
        await until(pilot, lambda: "billing: all work is committed and pushed." in screen.text)
        assert str(screen.query_one("#dialog").border_title) == "Delete 2 workspaces?"
        assert "api-gateway, billing" in screen.text


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 18), (40, 12)])
async def test_all_of_it_can_be_read_by_keyboard_while_the_buttons_stay(
    stub: StubService, running: Running, size: tuple[int, int]
) -> None:
    async with running(size) as pilot:
        screen = await question(pilot, "*", "D")
        text = screen.query_one(LineScroll)
        await until(pilot, lambda: "search: all work is committed and pushed." in screen.text)
        await until(pilot, lambda: text.max_scroll_y == len(screen.text.split("\n")) - text.page)
        await pilot.press("G")
        assert text.scroll_offset.y == text.max_scroll_y
        for key in ("pageup", "k", "up", "ctrl+u"):
            before = text.scroll_offset.y
            await pilot.press(key)
            assert text.scroll_offset.y < before or before == 0
        for button in screen.query(Button):
            assert screen.region.contains_region(button.region)
            assert screen.query_one("#dialog").region.contains_region(button.region)


async def test_what_will_be_lost_comes_before_what_is_safe(stub: StubService, running: Running) -> None:
    lost = UnsavedWork(("?? notes.txt",), ())

    async def work(workspace_id: str) -> UnsavedWork | None:
        return {"id-catalog": lost, "id-billing": None}.get(workspace_id, UnsavedWork())

    stub.unsaved_work = work  # type: ignore[method-assign]
    async with running() as pilot:
        screen = await question(pilot, "space", "space", "space", "D")
        await until(pilot, lambda: "catalog: this will be lost" in screen.text)
        notifications = [
            screen.text.index(name) for name in ("catalog: this", "billing: whether", "api-gateway: all")
        ]
        assert notifications == sorted(notifications)
