"""The list: it updates itself, filters, marks, and does what is asked to what is meant."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.screens.conftest import Running, answered_yes, notifications, until
from tests.screens.stub import StubService, dashboard, row
from wsdash.app import WsdashApp
from wsdash.backend.job.ports import Listener, ports
from wsdash.backend.providers.types import Capabilities
from wsdash.backend.service import Reconciling
from wsdash.model import Phase, Status
from wsdash.screens.confirm import ConfirmScreen
from wsdash.screens.detail import DetailScreen
from wsdash.screens.help_page import HelpScreen
from wsdash.screens.log import LogScreen
from wsdash.screens.notifications import MessagesScreen
from wsdash.screens.widgets.find_input import FindInput
from wsdash.screens.widgets.line_view import LineView
from wsdash.screens.widgets.workspace_table import WorkspaceTable
from wsdash.screens.workload_page import WorkloadScreen
from wsdash.screens.workspaces import WorkspacesScreen


def screen_of(pilot: object) -> WorkspacesScreen:
    from textual.pilot import Pilot

    assert isinstance(pilot, Pilot)
    screen = pilot.app.screen_stack[0]
    assert isinstance(screen, WorkspacesScreen)
    return screen


def text_of(pilot: object, selector: str) -> str:
    return screen_of(pilot).query_one(selector, LineView).text


def shown(pilot: object) -> list[str]:
    """The list as it is drawn."""
    table = screen_of(pilot).query_one(WorkspaceTable)
    return [table.render_line(y).text.rstrip() for y in range(table.page)]


def selected(pilot: object) -> str:
    row = screen_of(pilot).selected
    assert row is not None
    return row.workspace.name


async def test_the_first_paint_needs_no_service(stub: StubService, tmp_path: Path) -> None:
    app = dashboard(stub, tmp_path)
    app.session.start = lambda: None  # type: ignore[method-assign]
    async with app.run_test() as pilot:
        assert "● running" in shown(pilot)[0]
        assert not app.connected


async def test_rows_of_the_store_come_first_and_those_of_the_service_after(
    stub: StubService, tmp_path: Path
) -> None:
    app = dashboard(stub, tmp_path, rows=[row("as-it-was")])
    async with app.run_test() as pilot:
        await until(pilot, lambda: len(app.rows) == len(stub.rows))
        assert "api-gateway" in shown(pilot)[0]
    await app.session.close()


async def test_the_list_follows_the_store_and_the_cursor_its_workspace(
    stub: StubService, running: Running
) -> None:
    async with running() as pilot:
        await pilot.press("j")
        assert selected(pilot) == "billing"
        stub.change([row("aaa-first"), *stub.rows])
        await until(pilot, lambda: "aaa-first" in shown(pilot)[0])
        assert selected(pilot) == "billing"
        assert "billing" in text_of(pilot, "#summary")


async def test_a_changed_status_is_shown_in_the_row_the_counts_and_the_pane(
    stub: StubService, running: Running
) -> None:
    async with running() as pilot:
        first = replace(stub.rows[0], status=Status(Phase.FAILED, "the image does not exist", False))
        stub.change([first, *stub.rows[1:]])
        await until(pilot, lambda: "✗ failed" in shown(pilot)[0])
        assert "2 failed" in text_of(pilot, "#counts")
        assert "the image does not exist" in text_of(pilot, "#summary")


async def test_movement_keys(running: Running) -> None:
    async with running() as pilot:
        for keys, name in [
            ("j", "billing"),
            ("down", "catalog"),
            ("k", "billing"),
            ("up", "api-gateway"),
            ("up", "api-gateway"),
            ("G", "search"),
            ("j", "search"),
            ("g", "api-gateway"),
            ("end", "search"),
            ("home", "api-gateway"),
            ("pagedown", "search"),
            ("ctrl+u", "api-gateway"),
        ]:
            await pilot.press(keys)
            assert selected(pilot) == name, keys


async def test_the_header_names_the_reconciler_and_that_the_image_is_not_used(
    stub: StubService, running: Running
) -> None:
    stub.isolation = Capabilities("plain", False)
    stub.reconciler_status = Reconciling("daemon", 99)
    async with running() as pilot:
        await until(pilot, lambda: "reconciler: daemon (99)" in text_of(pilot, "#place"))
        assert "plain processes; the devfile's image is not used" in text_of(pilot, "#place")


async def test_the_filter_stays_visible_and_escape_clears_it(running: Running) -> None:
    async with running() as pilot:
        await pilot.press("slash", *"front")
        await until(pilot, lambda: screen_of(pilot).query(FindInput))
        await until(pilot, lambda: "legacy" not in "".join(shown(pilot)))
        await pilot.press("enter")
        await until(pilot, lambda: not screen_of(pilot).query(FindInput))
        assert "/front  1 shown, esc shows all" in text_of(pilot, "#counts")
        await pilot.press("escape")
        assert "legacy" in "".join(shown(pilot))
        assert "/front" not in text_of(pilot, "#counts")


async def test_a_filter_that_matches_nothing_says_how_to_get_back(running: Running) -> None:
    async with running() as pilot:
        await pilot.press("slash", *"zzz", "enter")
        await until(pilot, lambda: "Nothing matches zzz." in "".join(shown(pilot)))
        assert "esc shows all again." in "".join(shown(pilot))


async def test_letters_typed_into_the_filter_do_nothing_else(stub: StubService, running: Running) -> None:
    async with running() as pilot:
        await pilot.press("slash", *"xrDq", "enter")
        assert [what for what, _ in stub.asked if what != "reconcile"] == []
        assert pilot.app.is_running


async def test_an_empty_list_teaches_the_first_step(stub: StubService, running: Running) -> None:
    stub.rows = []
    async with running((80, 24)) as pilot:
        text = "\n".join(shown(pilot))
        assert "No workspaces yet." in text
        assert "Press a to create the first one." in text


@pytest.mark.parametrize(
    ("key", "asked"), [("r", ("restart", "api-gateway")), ("x", ("stop", "api-gateway"))]
)
async def test_one_key_does_it_to_the_selected_workspace(
    stub: StubService, running: Running, key: str, asked: tuple[str, str]
) -> None:
    async with running() as pilot:
        await pilot.press(key)
        await until(pilot, lambda: asked in stub.asked)


async def test_r_clears_a_failed_workspace_and_capital_s_starts_it(
    stub: StubService, running: Running
) -> None:
    async with running() as pilot:
        await pilot.press(*"jjjjj", "r", "S")
        await until(pilot, lambda: ("start", "legacy") in stub.asked)
        assert ("restart", "legacy") in stub.asked


async def test_a_disabled_action_says_why_in_a_message_that_can_be_read_again(
    stub: StubService, running: Running
) -> None:
    async with running() as pilot:
        await pilot.press("S", "m")
        assert "Start: api-gateway is running already; r restarts it" in notifications(pilot)
        assert isinstance(pilot.app.screen, MessagesScreen)
        assert "api-gateway is running already" in pilot.app.screen.page.text
        assert ("start", "api-gateway") not in stub.asked


async def test_a_mark_that_the_filter_hides_is_no_target(stub: StubService, running: Running) -> None:
    async with running() as pilot:
        await pilot.press("space", "slash", *"docs", "enter")
        await until(pilot, lambda: selected(pilot) == "docs-site")
        assert "1 marked, 1 of them hidden and left alone" in text_of(pilot, "#counts")
        await pilot.press("S")
        await until(pilot, lambda: ("start", "docs-site") in stub.asked)
        assert [name for verb, name in stub.asked if verb != "reconcile"] == ["docs-site"]


@pytest.mark.parametrize("key", ["r", "x", "D"])
async def test_marks_end_with_the_act_that_used_them(stub: StubService, running: Running, key: str) -> None:
    async with running() as pilot:
        await pilot.press("space", "space", key)
        await answered_yes(pilot)
        await until(pilot, lambda: len(stub.asked) == 3)
        assert "marked" not in text_of(pilot, "#counts")


async def test_marks_stay_when_the_question_is_declined(stub: StubService, running: Running) -> None:
    async with running() as pilot:
        await pilot.press("space", "space", "x")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await until(pilot, lambda: pilot.app.screen.asked_at < math.inf)  # type: ignore[attr-defined]
        await pilot.press("q")
        assert "2 marked" in text_of(pilot, "#counts")


async def test_marked_workspaces_are_done_together_after_one_question(
    stub: StubService, running: Running
) -> None:
    async with running() as pilot:
        await pilot.press("space", "space")
        assert "2 marked" in text_of(pilot, "#counts")
        await pilot.press("r")
        assert ("restart", "api-gateway") not in stub.asked
        await answered_yes(pilot)
        await until(pilot, lambda: ("restart", "billing") in stub.asked)
        assert ("restart", "api-gateway") in stub.asked
        await pilot.press("escape")
        assert "marked" not in text_of(pilot, "#counts")


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("enter", DetailScreen),
        ("d", DetailScreen),
        ("l", LogScreen),
        ("y", WorkloadScreen),
        ("question_mark", HelpScreen),
        ("f1", HelpScreen),
    ],
)
async def test_views_open_with_a_key_and_close_with_q_or_escape(
    running: Running, key: str, kind: type
) -> None:
    async with running((80, 24)) as pilot:
        for close in ("q", "escape"):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(pilot.app.screen, kind))
            await pilot.press(close)
            await until(pilot, lambda: isinstance(pilot.app.screen, WorkspacesScreen))
        assert pilot.app.is_running


async def test_q_leaves_only_the_list_and_the_jobs_are_handed_over(stub: StubService, tmp_path: Path) -> None:
    app = dashboard(stub, tmp_path)
    async with app.run_test() as pilot:
        await until(pilot, lambda: ("reconcile", "dashboard") in stub.asked)
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
    await app.session.close()
    assert app.session.handed_over
    assert app.return_code == 0


async def test_ctrl_c_only_says_how_to_leave(running: Running) -> None:
    async with running() as pilot:
        await pilot.press("ctrl+c")
        assert pilot.app.is_running
        assert notifications(pilot) == ["ctrl+q quits wsdash, q closes a view. Workspaces keep running."]


async def test_with_a_mouse_rows_and_keys_can_be_clicked(running: Running) -> None:
    async with running() as pilot:
        await pilot.click(WorkspaceTable, offset=(10, 2))
        assert selected(pilot) == "catalog"
        await pilot.click("KeyBar", offset=(2, 0))
        await until(pilot, lambda: type(pilot.app.screen).__name__ == "CreateScreen")


async def test_an_unreadable_store_is_told_and_shown(stub: StubService, running: Running) -> None:
    async with running() as pilot:

        async def broken(*, deleted: bool = False) -> list[object]:
            raise OSError("disk I/O error")

        stub.workspaces = broken  # type: ignore[method-assign, assignment]
        await pilot.press("R")
        await until(pilot, lambda: "not up to date: disk I/O error" in text_of(pilot, "#counts"))
        assert "api-gateway" in shown(pilot)[0]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 45), (160, 10), (40, 12), (80, 10), (80, 6)])
async def test_every_size_shows_the_list_and_the_keys(running: Running, size: tuple[int, int]) -> None:
    async with running(size) as pilot:
        assert "running" in shown(pilot)[0]
        assert "Help" in screen_of(pilot).query_one("KeyBar", LineView).text


@pytest.mark.parametrize(
    ("size", "least"),
    [
        ((120, 40), 24), ((80, 24), 13), ((80, 19), 10), ((80, 16), 7), ((80, 13), 9), ((40, 12), 8),
        ((80, 11), 7), ((80, 8), 4), ((80, 7), 5), ((80, 5), 3), ((80, 3), 3), ((80, 1), 1),
    ],
)  # fmt: skip
async def test_the_list_is_what_stays_in_a_window_of_any_height(
    stub: StubService, running: Running, size: tuple[int, int], least: int
) -> None:
    stub.rows = [row(f"ws-{number:02}") for number in range(40)]
    async with running(size) as pilot:
        lines = [
            "".join(part.text for part in strip) for strip in pilot.app.screen._compositor.render_strips()
        ]
        rows = [line for line in lines if re.match(r"[ ▌]*● running ", line)]
        assert len(rows) >= least, "\n".join(lines)
        assert any("? Help" in line for line in lines) == (size[1] >= 4), "the footer goes last"


async def test_a_port_that_begins_to_listen_is_offered_once_and_a_key_opens_it(
    stub: StubService, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        WsdashApp, "open_in", lambda _, workspace, *words: opened.append((workspace.name, *words))
    )
    stub.ports_of["api-gateway"] = ports((), ())
    async with running() as pilot:
        await pilot.press("p")
        await until(pilot, lambda: "none of its processes listens" in "".join(notifications(pilot)))
        screen_of(pilot).look_for_ports()
        await pilot.app.workers.wait_for_complete()
        stub.ports_of["api-gateway"] = ports((), [Listener(3000, loopback=True, program="node")])
        for _ in range(2):
            screen_of(pilot).look_for_ports()
            await pilot.app.workers.wait_for_complete()
        said = "api-gateway listens on port 3000 (node, from within only); p opens it."
        await until(pilot, lambda: notifications(pilot).count(said) == 1)
        await pilot.press("p")
        await until(pilot, lambda: opened == [("api-gateway", "ports", "--forward", "3000", "--open")])


async def test_a_workspace_that_does_not_run_is_not_asked_for_its_ports(
    stub: StubService, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(WorkspacesScreen, "_offer_ports", lambda _, workspace: asked.append(workspace.name))
    async with running() as pilot:
        await pilot.press("j", "j", "j")
        assert selected(pilot) == "docs-site"
        screen_of(pilot).look_for_ports()
        assert asked == []
