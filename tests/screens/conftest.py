"""A stub service, the dashboard over it, and a local time zone that does not change with the machine."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.screens.stub import StubService, dashboard, every_phase
from wsdash.app import WsdashApp
from wsdash.config.settings import Config, Context, GitLabSettings
from wsdash.screens.confirm import ConfirmScreen

Running = Callable[..., AbstractAsyncContextManager[Pilot[None]]]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def stub() -> StubService:
    return StubService(every_phase())


@pytest.fixture
def running(stub: StubService, tmp_path: Path) -> Running:
    """`async with running() as pilot`: the dashboard, connected; a fault of ours fails the test."""

    @asynccontextmanager
    async def run(
        size: tuple[int, int] = (120, 40),
        *,
        ascii: bool = False,  # noqa: A002
        no_color: bool = False,
        theme: str | None = None,
    ) -> AsyncIterator[Pilot[None]]:
        app = dashboard(stub, tmp_path, ascii=ascii, no_color=no_color, theme=theme)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.connected and app.session.isolation is not None)
            yield pilot
            assert not [
                shown.text for shown in app.notifications if "unexpected error in wsdash" in shown.text
            ]
        await app.session.close()

    return run


async def until(pilot: Pilot[None], condition: Callable[[], object], rounds: int = 400) -> None:
    """Let the app work until this holds."""
    for _ in range(rounds):
        if condition():
            await pilot.pause()
            return
        await pilot.pause(0.01)
    raise AssertionError(f"this never came true; the messages were {notifications(pilot)}")


def app_of(pilot: Pilot[None]) -> WsdashApp:
    assert isinstance(pilot.app, WsdashApp)
    return pilot.app


def notifications(pilot: Pilot[None]) -> list[str]:
    """The texts of the notifications so far."""
    return [message.text for message in app_of(pilot).notifications]


async def answered_yes(pilot: Pilot[None]) -> str:
    """Return the text of the question on the screen, after answering it."""
    await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
    screen = pilot.app.screen
    assert isinstance(screen, ConfirmScreen)
    await until(pilot, lambda: screen.asked_at < math.inf)
    notifications = screen.text
    await pilot.press("right", "enter")
    return notifications


@pytest.fixture
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a repository, so that nothing is suggested."""
    (tmp_path / "somewhere").mkdir()
    monkeypatch.chdir(tmp_path / "somewhere")


URL = "https://gitlab.example.com"


WORK = Context("work", "gitlab", GitLabSettings(URL, "group/app", tags=("large",)))


@pytest.fixture
def with_work(stub: StubService) -> None:
    stub.configured = Config(contexts={**Config().contexts, "work": WORK})
