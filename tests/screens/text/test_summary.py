"""The pane: what the selected workspace does, why, and which keys make sense."""

from __future__ import annotations

import pytest

from tests.screens.stub import NOW, every_phase
from wsdash.backend.store.reader import WorkspaceRow
from wsdash.screens.action import ScreenKind
from wsdash.screens.actions import available_actions
from wsdash.screens.availability import Subject
from wsdash.screens.text.glyphs import UNICODE
from wsdash.screens.text.spans import width_of
from wsdash.screens.text.summary import summary

ROWS = {row.workspace.name: row for row in every_phase()}


def text_of(row: WorkspaceRow, width: int = 78, height: int = 6) -> list[str]:
    keys = available_actions(ScreenKind.LIST, Subject((row,)))
    return ["".join(text for text, _ in line) for line in summary(row, keys, NOW, width, height, UNICODE)]


def test_it_says_what_and_why_and_ends_with_the_keys() -> None:
    lines = text_of(ROWS["legacy"])
    assert lines[0] == "legacy  ✗ failed  attempt #11 ended 30 min ago"
    assert lines[1].startswith("11 crashes in one episode; the last: user-code, exit 127: sh: yarn")
    assert lines[-1] == "enter open   l log   r restart   S start   x stop   D delete   y workload"


def test_failed_steps_are_named() -> None:
    assert "✗ postStart install failed with exit 1" in text_of(ROWS["billing"])


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize(("width", "height"), [(78, 6), (118, 10), (50, 30), (20, 4)])
def test_it_keeps_to_its_place(name: str, width: int, height: int) -> None:
    row = ROWS[name]
    lines = summary(row, available_actions(ScreenKind.LIST, Subject((row,))), NOW, width, height, UNICODE)
    assert len(lines) <= height
    if width >= 50:
        assert all(width_of(line) <= width for line in lines)


def test_with_room_it_also_says_where_it_comes_from_and_what_happened_last() -> None:
    lines = text_of(ROWS["api-gateway"], height=10)
    assert "source  https://git.example/shop/api-gateway.git @ main" in lines
    assert "last    ready: postStart is done" in lines
    assert lines[-2].startswith("enter open")
