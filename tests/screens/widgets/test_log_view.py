"""The view of a log: long lines, colours and control sequences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tests.screens.conftest import Running, until
from tests.screens.stub import StubService
from tests.screens.test_log import opened, shown
from wsdash.screens.log import LogScreen
from wsdash.screens.widgets.log_index import BLOCK
from wsdash.screens.widgets.log_view import MOST_BLOCKS, TraceView, _highlighted

RED = Style(color="red")


async def test_long_lines_are_cut_or_wrapped_and_can_be_moved_sideways(
    stub: StubService, running: Running
) -> None:
    stub.logs[1] = b"start " + b"0123456789" * 30 + b" end\n"
    async with running((80, 24)) as pilot:
        await pilot.press("l")
        await until(pilot, lambda: isinstance(pilot.app.screen, LogScreen))
        await until(pilot, lambda: shown(pilot)[0].startswith("start 0123"))
        assert "end" not in "".join(shown(pilot))
        await pilot.press("right")
        await until(
            pilot, lambda: shown(pilot)[0].startswith("0123456789"[0]) and "start" not in shown(pilot)[0]
        )
        await pilot.press("w")
        await until(pilot, lambda: "".join(shown(pilot)).endswith("end"))
        assert shown(pilot)[0].startswith("start")


@pytest.mark.parametrize("text", ["x" * 700, "漢" * 75, "\x1b[31mxx\x1b[0m" * 158])
async def test_the_end_of_a_wrapped_log_can_be_reached(
    text: str, stub: StubService, running: Running
) -> None:
    """Also with wide characters, which leave a cell free at the end of some rows."""
    stub.logs[1] = "".join(f"{number} {text}\n" for number in range(100, 150)).encode() + b"the very end\n"
    async with running((80, 24)) as pilot:
        await opened(pilot, "the very end")
        await pilot.press("w", "G")
        await until(pilot, lambda: "the very end" in shown(pilot))


async def test_control_sequences_are_not_shown_and_not_obeyed(stub: StubService, running: Running) -> None:
    stub.logs[1] = b"\x1b]0;evil\x07\x1b[2J\x1b[31mred\x1b[0m \x9b1mtext\x00 \xff\xfe\n"
    async with running((80, 24)) as pilot:
        await pilot.press("l")
        await until(pilot, lambda: isinstance(pilot.app.screen, LogScreen))
        await until(pilot, lambda: shown(pilot)[0].startswith("red "))
        assert "\x1b" not in "".join(shown(pilot))


@pytest.mark.parametrize(
    ("text", "width", "rows"),
    [
        ("short", 10, ["short     "]),
        ("0123456789ab", 5, ["01234", "56789", "ab   "]),
        ("漢字漢字", 5, ["漢字 ", "漢字 "]),
        ("", 3, ["   "]),
    ],
)
def test_a_long_line_is_folded_into_rows_of_the_width_and_no_wide_character_is_cut(
    text: str, width: int, rows: list[str]
) -> None:
    assert [strip.text for strip in TraceView()._fold(Strip([Segment(text)]), width)] == rows


def test_a_line_is_folded_across_its_colours() -> None:
    folded = TraceView()._fold(Strip([Segment("abc", RED), Segment("defg", Style())]), 4)
    assert [strip.text for strip in folded] == ["abcd", "efg "]
    assert folded[0]._segments[0].style == RED


@given(st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=4), st.data())
def test_highlighting_changes_no_text_and_lights_what_was_found_across_colours(
    texts: list[str], data: st.DataObject
) -> None:
    whole = "".join(texts)
    start = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(start + 1, len(whole)))
    lit = _highlighted([Segment(text, Style()) for text in texts], [(start, end)], RED)
    assert "".join(segment.text for segment in lit) == whole
    assert "".join(segment.text for segment in lit if segment.style == RED) == whole[start:end]


def test_only_the_blocks_around_the_screen_are_kept() -> None:
    view = TraceView()
    for block in range(MOST_BLOCKS + 5):
        view.put(block, b"line\n" * BLOCK)
    assert view.text_of(4 * BLOCK) is None
    assert view.text_of(5 * BLOCK) == b"line\n"
    assert view.text_of((MOST_BLOCKS + 5) * BLOCK) is None
