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

pytestmark = pytest.mark.usefixtures("somewhere")
DEMO = "https://git.example/demo.git"


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
