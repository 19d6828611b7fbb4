"""Only changed cells of a line are painted again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from wsdash.screens.text.spans import Line, Tone
from wsdash.screens.widgets.line_view import changed_cells, strip_of

STYLES = {tone: Style(color=f"color({number + 20})") for number, tone in enumerate(Tone)}
LINES: st.SearchStrategy[Line] = st.lists(
    st.tuples(st.text("ab 漢", min_size=1, max_size=6), st.sampled_from([Tone.PLAIN, Tone.GOOD])), max_size=5
).map(tuple)


def strip(line: Line) -> Strip:
    return strip_of(line, 24, STYLES.__getitem__)


@given(LINES)
def test_the_same_line_is_not_painted_again(line: Line) -> None:
    assert changed_cells(strip(line), strip(line)) is None


@given(LINES, LINES)
def test_painting_the_changed_cells_gives_the_new_line(old: Line, new: Line) -> None:
    before, after = strip(old), strip(new)
    span = changed_cells(before, after)
    if span is None:
        assert before.text == after.text
        return
    left, right = span
    patched = before.crop(0, left).text + after.crop(left, right).text + before.crop(right, 24).text
    assert patched == after.text


def test_only_what_differs_is_painted() -> None:
    before = strip((("workspace ", Tone.PLAIN), ("running", Tone.GOOD)))
    after = strip((("workspace ", Tone.PLAIN), ("stopped", Tone.GOOD)))
    assert changed_cells(before, after) == (10, 17)


def test_neighbours_of_one_tone_become_one_segment_and_blanks_cost_nothing() -> None:
    line = (("a", Tone.GOOD), (" ", Tone.MUTED), ("b", Tone.GOOD), ("c", Tone.PLAIN))
    assert [segment.text for segment in strip(line)] == ["a b", "c" + " " * 20]
    assert Segment("x") not in strip(line)
