"""The app around the screens: failures, messages, the palette, the shell, colours."""

from __future__ import annotations

import contextlib
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.color import Color

from tests.screens import conftest as screens
from tests.screens.conftest import Running, app_of, notifications, until
from tests.screens.stub import NOW, StubService, dashboard, row
from wsdash import crash
from wsdash.app import WsdashApp
from wsdash.backend.errors import UserError
from wsdash.backend.service import Service
from wsdash.backend.store.reader import WorkspaceRow
from wsdash.model import Desired, Phase, Status
from wsdash.paths import PathError, Paths
from wsdash.screens.theme import WithoutColour
from wsdash.screens.widgets.line_view import LineView
from wsdash.screens.widgets.workspace_table import WorkspaceTable

TOKEN = "glpat-do-not-tell"
utc, stub, running = screens.utc, screens.stub, screens.running


def reports(folder: Path) -> list[Path]:
    return sorted((folder / "state" / "crashes").glob("*.txt"))


async def test_a_fault_of_ours_in_a_background_task_is_printed_and_reported_without_variables(
    stub: StubService, tmp_path: Path
) -> None:
    async def broken(name: str, *, unsaved: bool) -> None:
        secret = TOKEN
        raise RuntimeError(f"{len(secret)}")

    stub.stop = broken  # type: ignore[method-assign, assignment]
    app = dashboard(stub, tmp_path)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.connected)
        await pilot.press("x")
        await until(
            pilot,
            lambda: any("unexpected error in wsdash (RuntimeError)" in text for text in notifications(pilot)),
        )
        assert app.is_running
    await app.session.close()
    (report,) = reports(tmp_path)
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert "RuntimeError" in report.read_text()
    assert TOKEN not in report.read_text()


async def test_the_first_paint_reads_a_screenful_and_a_key_waits_for_the_whole_list(
    stub: StubService, tmp_path: Path
) -> None:
    stub.rows = [row(f"app-{number:03}") for number in range(200)]
    whole_list_may_be_read = threading.Event()
    numbers: list[int | None] = []

    def read_rows(_now: float, first: int | None) -> list[WorkspaceRow]:
        numbers.append(first)
        if first is None:
            assert whole_list_may_be_read.wait(60)
        return stub.rows[:first]

    app = dashboard(stub, tmp_path, read_rows=read_rows)
    async with app.run_test() as pilot:
        table, counts = app.screen.query_one(WorkspaceTable), app.screen.query_one("#counts", LineView)
        await until(pilot, lambda: None in numbers)
        assert numbers[0] is not None
        assert numbers[0] < 200
        assert table.selected == stub.rows[0].workspace.id
        assert counts.text == "reading the list ..."
        app.post_message(events.Key("G", "G"))
        whole_list_may_be_read.set()
        await until(pilot, lambda: table.selected == stub.rows[-1].workspace.id)
        assert "200 workspaces" in counts.text


async def test_a_crash_shows_no_variables_and_leaves_a_report(stub: StubService, tmp_path: Path) -> None:
    app = dashboard(stub, tmp_path)
    printed: list[str] = []

    def crash_now() -> None:
        secret = TOKEN
        raise ValueError(f"{len(secret)} {TOKEN}")

    with pytest.raises(ValueError, match="17"):
        async with app.run_test() as pilot:
            app._print_error_renderables = lambda: printed.extend(map(str, app._exit_renderables))  # type: ignore[method-assign]
            app.call_later(crash_now)
            await until(pilot, lambda: not app.is_running)
    await app.session.close()
    (text,) = printed
    (report,) = reports(tmp_path)
    assert text.startswith("wsdash has failed (ValueError). The report is in ")
    assert str(report) in text
    assert TOKEN not in text
    assert app.return_code == 1


def test_old_reports_are_forgotten(tmp_path: Path) -> None:
    for number in range(crash.MOST_REPORTS + 3):
        crash.report(ValueError(), tmp_path, 1e9 + number)
    assert len(list(tmp_path.iterdir())) == crash.MOST_REPORTS


def test_a_report_that_cannot_be_written_is_no_second_crash(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert crash.report(ValueError(), tmp_path / "file", 1e9) is None
    assert "No report could be written." in crash.words(ValueError(), None)


async def test_a_store_that_cannot_be_opened_is_printed_and_tried_again_with_capital_r(
    stub: StubService, tmp_path: Path
) -> None:
    broken = [True]

    @asynccontextmanager
    async def opening() -> AsyncIterator[Service]:
        if broken:
            raise PathError("/state cannot be written to. Set WSDASH_HOME.")
        yield stub  # type: ignore[misc]

    app = WsdashApp(
        Paths(tmp_path, tmp_path, tmp_path),
        open_service=opening,
        read_rows=lambda _now, first: list(stub.rows)[:first],
    )
    async with app.run_test() as pilot:
        await until(pilot, lambda: notifications(pilot))
        assert notifications(pilot) == ["opening the store: /state cannot be written to. Set WSDASH_HOME."]
        assert "the store cannot be used" in app.screen.query_one("#counts", LineView).text
        broken.clear()
        await pilot.press("R")
        await until(pilot, lambda: app.connected)
    await app.session.close()


async def test_notices_of_the_store_are_printed(stub: StubService, running: Running) -> None:
    stub.notices.append("state.db was damaged; it was restored from a backup")
    async with running() as pilot:
        await until(
            pilot, lambda: notifications(pilot) == ["state.db was damaged; it was restored from a backup"]
        )


async def test_messages_show_no_control_sequences_and_no_markup(running: Running) -> None:
    async with running() as pilot:
        app_of(pilot).notify_user("[red]x[/] \x1b[2Jgone", "line two")
        assert notifications(pilot) == ["[red]x[/] gone\nline two"]


async def test_a_shell_that_cannot_be_had_says_why(stub: StubService, running: Running) -> None:
    stub.refusals["shell"] = UserError("api-gateway's job does not run", "r restarts it.")
    async with running() as pilot:
        await pilot.press("s")
        await until(pilot, lambda: notifications(pilot) == ["api-gateway's job does not run\nr restarts it."])


async def test_a_workspace_that_does_not_run_has_no_shell_and_the_key_is_named(running: Running) -> None:
    async with running() as pilot:
        await pilot.press("j", "j", "j", "s")
        assert notifications(pilot) == ["Shell: docs-site is stopped; r starts it"]


async def test_the_jobs_are_kept_alive_while_the_user_is_in_a_shell(
    stub: StubService, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspended: list[bool] = []

    @contextlib.contextmanager
    def suspend(_app: WsdashApp) -> Iterator[None]:
        suspended.append(True)
        yield

    monkeypatch.setattr(WsdashApp, "suspend", suspend)
    async with running() as pilot:
        await pilot.press("s")
        await until(pilot, lambda: suspended)
        stub.change(stub.rows[:2])
        await until(pilot, lambda: len(app_of(pilot).rows) == 2)
        await until(pilot, lambda: app_of(pilot).program is None)
        assert notifications(pilot) == []


def test_without_colour_only_attributes_are_left() -> None:
    styled = [Segment("x", Style(color="red", bgcolor="#101010", bold=True, reverse=True))]
    (segment,) = WithoutColour().apply(styled, Color(0, 0, 0))
    assert segment.style == Style(bold=True, reverse=True)


async def test_no_colour_at_all_with_no_color(running: Running) -> None:
    async with running((80, 24), no_color=True) as pilot:
        strips = pilot.app.screen._compositor.render_strips()
        colours = {
            segment.style.color or segment.style.bgcolor
            for strip in strips
            for segment in strip
            if segment.style
        }
        assert colours == {None}


async def test_ascii_shows_only_ascii(running: Running) -> None:
    async with running((80, 24), ascii=True) as pilot:
        shown = [strip.text for strip in pilot.app.screen._compositor.render_strips()]
        assert [line for line in shown if not line.isascii()] == []


async def test_a_workspace_that_is_soon_deleted_is_announced_once(
    stub: StubService, running: Running
) -> None:
    row = stub.rows[0]
    policy = replace(row.workspace.policy, delete_after_stopped_hours=10.0)
    stopped = replace(row.workspace, desired=Desired.STOPPED, policy=policy)
    status = Status(Phase.STOPPED, "will be deleted in 5 min", until=NOW + 300)
    stub.rows = [replace(row, workspace=stopped, status=status)]
    async with running() as pilot:
        app = app_of(pilot)
        announced = f"{row.workspace.name}: will be deleted in 5 min"
        await until(pilot, lambda: any(announced in text for text in notifications(pilot)))
        app._session_changed()
        assert len([text for text in notifications(pilot) if announced in text]) == 1
