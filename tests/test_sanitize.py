from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.sanitize import one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, äöü, 漢字 and ✓", "plain, äöü, 漢字 and ✓"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;Y2xpcGJvYXJk\x1b\\after", "after"),
        ("\x1bP$q\x9cafter", "after"),
        ("\x1b(Bafter\x1bc", "after"),
        ("an unfinished \x1b[12", "an unfinished 12"),
        ("an unfinished title \x1b]0;x\nnext line", "an unfinished title \nnext line"),
        ("one\r\ntwo\ttabbed\r\n", "one\ntwo\ttabbed\n"),
        ("10%\r50%\r", "10%\n50%\n"),
        ("back\x08space, bell\x07, nul\x00", "backspace, bell, nul"),
        ("reordered \u202etxt.exe", "reordered txt.exe"),
    ],
)
def test_control_sequences_and_characters_are_removed(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("\x1b[]0;m\x07\x9b\x9d\\P(")))
def test_nothing_that_is_shown_controls_the_terminal(text: str) -> None:
    shown = printable(text)
    assert all(unicodedata.category(char) != "Cc" or char in "\n\t" for char in shown)
    assert printable(shown) == shown


@given(st.text())
def test_one_line_has_no_line_break(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
