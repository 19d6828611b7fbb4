"""A form in two steps: errors beside their fields, progress, and the way back to what was typed."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from tests.screens.conftest import Running, until
from tests.screens.stub import StubService
from tests.screens.test_create_form import DEMO, fill, form_of, job, opened, previewed
from wsdash.backend.errors import UserError
from wsdash.devfile import Diagnostic
from wsdash.screens.widgets.line_view import LineScroll, LineView

pytestmark = pytest.mark.usefixtures("somewhere")


async def test_an_error_stands_beside_its_field_and_nothing_typed_is_lost(
    stub: StubService, running: Running
) -> None:
    stub.refusals["preview"] = UserError(
        "https://git.example/demo.git has no ref nope", "Give a branch.", field="ref"
    )
    async with running((80, 24)) as pilot:
        await opened(pilot)
        fill(pilot, source=DEMO, ref="nope", name="demo")
        await pilot.press("enter")
        error = form_of(pilot).query_one("#ref-error", LineView)
        await until(pilot, lambda: "has no ref nope" in error.text)
        assert "Give a branch." in error.text
        assert error.display
        assert pilot.app.focused is form_of(pilot).query_one("#ref", Input)
        assert form_of(pilot).query_one("#source", Input).value == DEMO
        await pilot.press("x")
        await until(pilot, lambda: error.text == "")


async def test_a_slow_look_at_the_repository_shows_progress_and_can_be_stopped(
    stub: StubService, running: Running
) -> None:
    stub.released.clear()
    async with running() as pilot:
        await opened(pilot)
        fill(pilot, source=DEMO)
        await pilot.press("enter")
        progress = form_of(pilot).query_one("#progress", LineView)
        await until(pilot, lambda: "reading the repository ... esc stops it" in progress.text)
        await pilot.press("escape")
        await until(pilot, lambda: "reading" not in progress.text)
        assert form_of(pilot).query_one("#source", Input).value == DEMO


async def test_escape_goes_back_to_the_form_and_then_keeps_the_draft(
    stub: StubService, running: Running
) -> None:
    async with running() as pilot:
        await opened(pilot)
        fill(pilot, source=DEMO)
        await previewed(pilot)
        await pilot.press("escape")
        assert not form_of(pilot).has_class("-previewed")
        await pilot.press("escape")
        await opened(pilot)
        assert form_of(pilot).query_one("#source", Input).value == DEMO


async def test_all_that_is_wrong_with_a_devfile_is_read_before_one_goes_back(
    stub: StubService, running: Running
) -> None:
    details = (
        "devfile.yaml:7:20: error: 1GB is not a quantity",
        "          memoryLimit: 1GB",
        "                       ^",
    )
    stub.refusals["preview"] = UserError(
        "devfile.yaml:7:20: 1GB is not a quantity", field="devfile", details=details
    )
    async with running((80, 24)) as pilot:
        await opened(pilot)
        fill(pilot, source=DEMO)
        await previewed(pilot)
        assert job(pilot) == "\n".join(details)
        assert "must be fixed" in form_of(pilot).query_one("#head", LineView).text
        await pilot.press("enter")
        assert not form_of(pilot).has_class("-previewed")
        assert "1GB is not a quantity" in form_of(pilot).query_one("#devfile-error", LineView).text
        assert form_of(pilot).query_one("#source", Input).value == DEMO
        assert pilot.app.focused is form_of(pilot).query_one("#devfile", Input)


async def test_the_same_mistake_is_error_each_time(stub: StubService, running: Running) -> None:
    stub.refusals["preview"] = UserError("it is not a repository", "Check the address.", field="source")
    async with running() as pilot:
        await opened(pilot)
        error = form_of(pilot).query_one("#source-error", LineView)

        def drawn() -> str:
            return "".join(error.render_line(y).text for y in range(error.size.height))

        for letter in "abc":
            await pilot.press(letter)
            await until(pilot, lambda: not error.display or not drawn().strip())
            await pilot.press("enter")
            await until(
                pilot, lambda: "it is not a repository" in drawn() and "Check the address." in drawn()
            )


async def test_the_job_can_be_read_to_its_end_by_keyboard(stub: StubService, running: Running) -> None:
    stub.diagnostics = tuple(Diagnostic(line, 1, "info", "x", f"remark {line}", "") for line in range(60))
    async with running((80, 24)) as pilot:
        await opened(pilot)
        await previewed(pilot)
        text = form_of(pilot).query_one("#job", LineScroll)
        await until(pilot, lambda: text.max_scroll_y > 20)
        places = []
        for key in ("j", "down", "pagedown", "ctrl+d", "ctrl+f", "G", "k", "g", "end", "home"):
            await pilot.press(key)
            places.append(text.scroll_offset.y)
        assert places[:5] == sorted(set(places[:5]))
        assert places[5:] == [text.max_scroll_y, text.max_scroll_y - 1, 0, text.max_scroll_y, 0]
        assert "pgdn A page down" in form_of(pilot).query_one("KeyBar", LineView).text
