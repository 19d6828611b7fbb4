"""Creating a workspace: nothing typed is lost, and nothing runs before the job has been seen."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.screens.conftest import Running, until
from tests.screens.stub import StubService
from wsdash.backend.errors import UserError
from wsdash.backend.providers.types import Limitation
from wsdash.backend.service import CreateRequest
from wsdash.devfile import Diagnostic
from wsdash.screens.create_form import CreateScreen, repository_here
from wsdash.screens.secrets_form import SecretsScreen
from wsdash.screens.widgets.line_view import LineScroll, LineView
from wsdash.screens.workspaces import WorkspacesScreen
from wsdash.workload import Secret

DEMO = "https://git.example/demo.git"


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a repository, so that nothing is suggested."""
    (tmp_path / "somewhere").mkdir()
    monkeypatch.chdir(tmp_path / "somewhere")


def form_of(pilot: Pilot[None]) -> CreateScreen:
    assert isinstance(pilot.app.screen, CreateScreen)
    return pilot.app.screen


def fill(pilot: Pilot[None], **fields: str) -> None:
    for name, value in fields.items():
        form_of(pilot).query_one(f"#{name}", Input).value = value


def job(pilot: Pilot[None]) -> str:
    return form_of(pilot).query_one("#job", LineScroll).text


async def opened(pilot: Pilot[None]) -> None:
    await pilot.press("a")
    await until(pilot, lambda: isinstance(pilot.app.screen, CreateScreen))


async def previewed(pilot: Pilot[None]) -> None:
    await pilot.press("enter")
    await until(pilot, lambda: form_of(pilot).has_class("-previewed") and form_of(pilot).asked_at < math.inf)


async def test_the_job_is_shown_before_anything_is_created(stub: StubService, running: Running) -> None:
    async with running((80, 24)) as pilot:
        await opened(pilot)
        fill(pilot, source=DEMO, ref="main", name="demo")
        await previewed(pilot)
        assert stub.previews == [CreateRequest(DEMO, "main", None, "demo", "")]
        assert "  install: pip install -e ." in job(pilot)
        assert "runs in   podman" in job(pilot)
        assert ("create", "demo") not in stub.asked
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkspacesScreen))
        assert ("create", "demo") in stub.asked


async def test_the_new_workspace_is_selected_and_its_progress_shows(
    stub: StubService, running: Running
) -> None:
    async with running((80, 24)) as pilot:
        await opened(pilot)
        fill(pilot, name="newest")
        await previewed(pilot)
        await pilot.press("enter")

        def is_selected() -> bool:
            screen = pilot.app.screen
            row = screen.selected if isinstance(screen, WorkspacesScreen) else None
            return row is not None and row.workspace.name == "newest"

        await until(pilot, is_selected)
        summary = pilot.app.screen.query_one("#summary", LineView).text
        assert "starting" in summary
        assert "fetch source" in summary


async def test_all_fields_may_be_empty(stub: StubService, running: Running) -> None:
    async with running() as pilot:
        await opened(pilot)
        await previewed(pilot)
        assert stub.previews == [CreateRequest(None, None, None, None, "")]


async def test_remarks_about_the_devfile_have_their_line_and_remedy(
    stub: StubService, running: Running
) -> None:
    stub.diagnostics = (Diagnostic(7, 3, "warning", "x", "memoryRequest is ignored", "Remove it."),)
    async with running() as pilot:
        await opened(pilot)
        await previewed(pilot)
        assert "line 7: warning: memoryRequest is ignored\n  Remove it." in job(pilot)


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


async def test_the_repository_that_the_user_stands_in_is_suggested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, running: Running
) -> None:
    here = tmp_path / "project" / "src"
    here.mkdir(parents=True)
    (tmp_path / "project" / ".git").mkdir()
    monkeypatch.chdir(here)
    assert repository_here() == str(tmp_path / "project")
    async with running() as pilot:
        await opened(pilot)
        assert form_of(pilot).query_one("#source", Input).value == str(tmp_path / "project")


async def test_all_that_is_wrong_with_a_devfile_is_read_before_one_goes_back(
    stub: StubService, running: Running
) -> None:
    details = (
        "devfile.yaml:7:20: error: 1GB is no quantity",
        "          memoryLimit: 1GB",
        "                       ^",
    )
    stub.refusals["preview"] = UserError(
        "devfile.yaml:7:20: 1GB is no quantity", field="devfile", details=details
    )
    async with running((80, 24)) as pilot:
        await opened(pilot)
        fill(pilot, source=DEMO)
        await previewed(pilot)
        assert job(pilot) == "\n".join(details)
        assert "must be fixed" in form_of(pilot).query_one("#head", LineView).text
        await pilot.press("enter")
        assert not form_of(pilot).has_class("-previewed")
        assert "1GB is no quantity" in form_of(pilot).query_one("#devfile-error", LineView).text
        assert form_of(pilot).query_one("#source", Input).value == DEMO
        assert pilot.app.focused is form_of(pilot).query_one("#devfile", Input)


ASKED = Limitation("the secret TOKEN is not there", "", Secret("TOKEN", "for the registry"))


async def test_a_secret_that_nobody_has_given_is_asked_for_and_not_shown(
    stub: StubService, running: Running
) -> None:
    stub.limitations = (ASKED,)
    async with running((80, 24)) as pilot:
        await opened(pilot)
        await previewed(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, SecretsScreen))
        await pilot.press(*"s3cret-value")
        assert "s3cret" not in pilot.app.export_screenshot()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkspacesScreen))
        assert stub.secrets == {"TOKEN": "s3cret-value"}


async def test_a_secret_may_be_left_out_and_going_back_creates_nothing(
    stub: StubService, running: Running
) -> None:
    stub.limitations = (ASKED,)
    async with running((80, 24)) as pilot:
        await opened(pilot)
        await previewed(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, SecretsScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, CreateScreen))
        assert form_of(pilot).has_class("-previewed")
        assert ("create", "api") not in stub.asked
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, SecretsScreen))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkspacesScreen))
        assert stub.secrets == {}


async def test_a_value_that_cannot_be_kept_is_refused_beside_its_field(
    stub: StubService, running: Running
) -> None:
    stub.limitations = (ASKED,)
    stub.refusals["secret"] = UserError("GitLab cannot mask it", "Encode it.", field="secret-0")
    async with running((80, 24)) as pilot:
        await opened(pilot)
        await previewed(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, SecretsScreen))
        await pilot.press("x", "enter")
        await until(
            pilot, lambda: "cannot mask" in pilot.app.screen.query_one("#secret-0-error", LineView).text
        )
        assert ("create", "api") not in stub.asked


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
