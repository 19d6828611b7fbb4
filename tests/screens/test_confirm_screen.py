"""The question before a delete names what would be lost, and Cancel is the default."""

from __future__ import annotations

from textual.pilot import Pilot

from tests.screens.conftest import Running, until
from tests.screens.stub import StubService
from wsdash.backend.service import UnsavedWork
from wsdash.screens.confirm import ConfirmScreen
from wsdash.screens.workspaces import WorkspacesScreen


async def question(pilot: Pilot[None], *keys: str) -> ConfirmScreen:
    await pilot.press(*keys)
    await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
    assert isinstance(pilot.app.screen, ConfirmScreen)
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
