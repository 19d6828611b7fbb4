"""Untrusted text on one line, cut and wrapped by cells."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from wsdash.screens.text.spans import Tone, fit, joined, plain, shortened, width_of, wrap

HOSTILE = st.text(
    st.one_of(st.characters(), st.sampled_from("\x1b[]0;31m\x07\x9b\x90\r\n\t\u202e\u200b")), max_size=60
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("hello", "hello"),
        ("[prod] stays as it is", "[prod] stays as it is"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("one\r\ntwo\n", "one two"),
        ("10 %\r50 %\r100 %\n", "100 %"),
        ("a\tb", "a       b"),
        ("abc\u202edef", "abcdef"),
    ],
)
def test_text_is_shown_on_one_line_as_a_terminal_would_leave_it(raw: str, shown: str) -> None:
    assert plain(raw) == shown


@given(HOSTILE)
def test_nothing_that_a_terminal_obeys_survives(raw: str) -> None:
    assert not [char for char in plain(raw) if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")]


@given(st.text(max_size=40).map(plain), st.integers(1, 30))
def test_a_fitted_text_takes_exactly_its_cells(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width


def test_a_wide_character_is_not_cut_in_half() -> None:
    assert fit("漢字漢字", 6) == "漢字 …"


@given(st.text(max_size=80).map(plain), st.integers(2, 30))
def test_wrapped_lines_are_no_wider_than_asked(text: str, width: int) -> None:
    assert all(cell_len(line) <= width for line in wrap(text, width))


@given(st.lists(st.text("abc", min_size=1, max_size=5), min_size=1), st.integers(5, 20))
def test_wrapping_loses_no_word(words: list[str], width: int) -> None:
    assert " ".join(wrap(" ".join(words), width)).split() == words


def test_wrapping_keeps_the_indentation_and_says_when_it_leaves_out_text() -> None:
    assert wrap("  one two three", 9) == ["  one two", "  three"]
    assert wrap("one two three four", 8, most=2) == ["one two", "three f…"]


def test_a_line_that_is_too_long_loses_whole_parts() -> None:
    line = joined([(("10 workspaces", Tone.PLAIN),), (("1 failed", Tone.BAD),), (("9 running", Tone.GOOD),)])
    short = shortened(line, 28, "…")
    assert "".join(text for text, _ in short) == "10 workspaces   1 failed …"
    assert shortened(line, width_of(line), "…") == line
