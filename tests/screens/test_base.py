"""Actions of every screen: the reason why not, errors, movement, and keys typed before a question was seen."""

from __future__ import annotations

from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from tests.screens.conftest import Running, app_of, notifications, until
from tests.screens.stub import StubService
from wsdash.backend.errors import UserError
from wsdash.screens.action import ScreenKind
from wsdash.screens.actions import BY_ID, on
from wsdash.screens.base import ActionMixin, bindings_of


class Moved:
    """A widget of 9 lines that remembers where it was moved."""

    page = 9

    def __init__(self) -> None:
        self.calls: list[object] = []

    def move(self, by: int) -> None:
        self.calls.append(by)

    def move_to_end(self, last: bool) -> None:
        self.calls.append("end" if last else "start")


class Screen(ActionMixin):
    """A screen without Textual."""

    def __init__(self, target: Moved | None) -> None:
        self.target = target
        self.told: list[str] = []

    @property
    def dashboard(self) -> Any:  # noqa: ANN401
        async def guard(work: Coroutine[Any, Any, object]) -> None:
            await work

        return SimpleNamespace(
            connected=True, guard=guard, notify_user=lambda text, **_: self.told.append(text)
        )

    def movable(self) -> Moved | None:
        return self.target


@pytest.mark.parametrize(
    ("action", "moved"),
    [
        ("move.down", 1),
        ("move.up", -1),
        ("move.half_down", 4),
        ("move.half_up", -4),
        ("move.page_down", 9),
        ("move.page_up", -9),
        ("move.top", "start"),
        ("move.bottom", "end"),
    ],
)
async def test_movement_is_by_lines_and_pages_of_what_can_be_moved(action: str, moved: object) -> None:
    screen = Screen(Moved())
    await screen.action_perform(action)
    assert screen.target is not None
    assert screen.target.calls == [moved]
    await Screen(None).action_perform(action)


async def test_a_list_of_one_line_moves_by_one_at_least() -> None:
    screen = Screen(Moved())
    assert screen.target is not None
    screen.target.page = 1
    await screen.action_perform("move.half_up")
    assert screen.target.calls == [-1]


async def test_an_action_that_cannot_be_done_notifies_the_reason_with_its_title() -> None:
    screen = Screen(None)
    await screen.perform(BY_ID["workspace.delete"])
    assert screen.told == [f"{BY_ID['workspace.delete'].title}: no workspace is selected; a creates one"]


def test_every_key_of_a_kind_of_screen_leads_to_its_action() -> None:
    bound = {binding.id for binding in bindings_of(ScreenKind.LOG)}  # type: ignore[union-attr]
    assert bound == {action.id for action in on(ScreenKind.LOG) if action.keys}


async def test_an_error_of_work_in_the_background_is_notified_with_its_hint(
    stub: StubService, running: Running
) -> None:
    async def fail() -> None:
        raise UserError("the disk is full", "Free some space.")

    async with running() as pilot:
        screen = app_of(pilot).screen
        assert isinstance(screen, ActionMixin)
        screen.spawn(fail(), "failing")
        await until(pilot, lambda: notifications(pilot) == ["the disk is full\nFree some space."])
        assert app_of(pilot).is_running
