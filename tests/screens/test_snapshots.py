"""Pictures of every screen, at the smallest size that must work and at a comfortable one.

They depend on the versions of Textual and Rich: after a change that is meant, look at the report and then
run `pytest tests/screens/test_snapshots.py --snapshot-update`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from textual.pilot import Pilot

from tests.screens.conftest import app_of, until
from tests.screens.stub import StubService, dashboard
from tests.screens.test_detail import tell_a_story
from tests.screens.test_log import numbered
from wsdash.backend.providers.types import Capabilities, Finding, Limitation
from wsdash.backend.service import UnsavedWork
from wsdash.config.settings import Config, Context, GitLabSettings
from wsdash.devfile import Diagnostic
from wsdash.workload import Secret

REPORTS = os.environ.get("TEXTUAL_SNAPSHOT_TEMPDIR", "")
"""The plugin's own variable, which the fixture for a clean environment takes away."""
SMALL, LARGE, WIDE = (80, 24), (120, 40), (160, 40)


def empty(stub: StubService) -> None:
    stub.rows = []


def logged(stub: StubService) -> None:
    stub.logs[1] = b"\x1b[32m$ make serve\x1b[0m\n" + numbered(200) + b"\x1b[31;1mERROR\x1b[0m no such host\n"


def unsaved(stub: StubService) -> None:
    stub.unsaved = UnsavedWork((" M src/app.py", "?? notes.txt"), ("1a2b3c4 Fix the parser",))


def remarked(stub: StubService) -> None:
    stub.diagnostics = (
        Diagnostic(7, 3, "warning", "field.ignored", "memoryRequest is not used by the local provider", ""),
        Diagnostic(12, 5, "info", "event.ignored", "postStop is ignored", "Move it to preStop."),
    )


def asking(stub: StubService) -> None:
    secrets = (Secret("NPM_TOKEN", "reads the team's packages"), Secret("A_RATHER_LONG_NAME_OF_A_SECRET"))
    stub.limitations = tuple(Limitation("", "", secret) for secret in secrets)


def without_image(stub: StubService) -> None:
    stub.isolation = Capabilities("bubblewrap", False)


@dataclass(frozen=True)
class Picture:
    name: str
    size: tuple[int, int] = SMALL
    keys: tuple[str, ...] = ()
    setup: Callable[[StubService], None] = lambda stub: None
    options: dict[str, Any] = field(default_factory=dict)


def connected(stub: StubService) -> None:
    settings = GitLabSettings("https://gitlab.example.com", "group/app")
    stub.configured = Config("work", {**Config().contexts, "work": Context("work", "gitlab", settings)})


def found(stub: StubService) -> None:
    stub.findings = (
        Finding("ok", "you are ada, with a token for the API until 2027-01-31"),
        Finding("warning", "you are Developer in group/app: a job that does not end cannot be forced", ""),
        Finding(
            "blocked", "the project has no runner with the tags large", "Register one, or choose other tags."
        ),
    )


CONNECT = ("c", "a", *"work", "tab", *"https://gitlab.example.com", "tab", "tab", *"group/app")
CREATE = ("a", *"/srv/api.git")

PICTURES = [
    Picture("list-small", setup=without_image),
    Picture("list-large", LARGE, ("j",)),
    Picture("list-wide", WIDE, ("j", "space", "space")),
    Picture("list-ascii", keys=("j",), options={"ascii": True}),
    Picture("list-mono", keys=("j",), options={"no_color": True}),
    Picture("list-light", LARGE, ("j",), options={"theme": "wsdash-light"}),
    Picture("list-filtered", keys=("slash", *"front", "enter")),
    Picture("list-empty", setup=empty),
    Picture("detail-small", SMALL, ("j", "enter"), tell_a_story),
    Picture("detail-large", LARGE, ("j", "enter"), tell_a_story),
    Picture("log-small", SMALL, ("l",), logged),
    Picture("log-large", LARGE, ("l", "slash", *"error", "enter"), logged),
    Picture("create-small", SMALL, CREATE),
    Picture("create-large", LARGE, CREATE),
    Picture("preview-small", SMALL, (*CREATE, "enter"), remarked),
    Picture("preview-large", LARGE, (*CREATE, "enter"), remarked),
    Picture("secrets-small", SMALL, (*CREATE, "enter", "enter", *"12345678"), asking),
    Picture("contexts-small", SMALL, ("c", "j"), connected),
    Picture("connect-small", SMALL, CONNECT),
    Picture("connect-large", LARGE, CONNECT),
    Picture("connect-preview-small", SMALL, (*CONNECT, "enter"), found),
    Picture("delete-small", SMALL, ("D",), unsaved),
    Picture("delete-large", LARGE, ("D",), unsaved),
    Picture("help-small", SMALL, ("question_mark",)),
    Picture("help-large", LARGE, ("question_mark",)),
    Picture("messages-small", SMALL, ("S", "m")),
    Picture("workload-small", SMALL, ("y",)),
    Picture("update-small", SMALL, ("j", "U")),
    Picture("update-preview-small", SMALL, ("j", "U", "enter"), remarked),
    Picture("update-preview-large", LARGE, ("j", "U", "enter"), remarked),
]


class Compare(Protocol):
    def __call__(
        self, app: object, *, terminal_size: tuple[int, int], run_before: Callable[[Pilot[None]], object]
    ) -> bool: ...


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_picture(
    picture: Picture,
    stub: StubService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    snap_compare: Compare,
) -> None:
    monkeypatch.setenv("TEXTUAL_SNAPSHOT_TEMPDIR", REPORTS)
    monkeypatch.chdir(tmp_path)
    picture.setup(stub)

    async def prepare(pilot: Pilot[None]) -> None:
        app = app_of(pilot)
        await until(pilot, lambda: app.connected and app.session.isolation is not None)
        for key in picture.keys:
            await pilot.press(key)
            await until(pilot, lambda: not busy(pilot))
        app.clear_notifications()
        await until(pilot, lambda: not app.screen.query("Toast"))
        await until(pilot, lambda: not busy(pilot))

    app = dashboard(stub, tmp_path, **picture.options)
    assert snap_compare(app, terminal_size=picture.size, run_before=prepare)


def busy(pilot: Pilot[None]) -> bool:
    """Whether something short still runs beside the screen, and not what follows a log or waits for the user."""
    return any(worker.is_running and worker.name not in ("log", "accept") for worker in pilot.app.workers)
