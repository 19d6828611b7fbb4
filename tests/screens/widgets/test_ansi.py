"""Colours of a log line are kept, everything else that a job sends to a terminal is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from wsdash.screens.widgets.ansi import coloured


@pytest.mark.parametrize(
    ("raw", "pieces"),
    [
        ("plain\n", [("plain", Style())]),
        ("\x1b[31mred\x1b[0m and not", [("red", Style(color="color(1)")), (" and not", Style())]),
        ("\x1b[1;92mok", [("ok", Style(bold=True, color="color(10)"))]),
        ("\x1b[38;5;208mx", [("x", Style(color="color(208)"))]),
        ("\x1b[48;2;1;2;3mx", [("x", Style(bgcolor="#010203"))]),
        ("\x1b[38;5;999mx\x1b[38mx", [("x", Style()), ("x", Style())]),
        ("\x1b[31m\x1b[2Jx\x1b]0;title\x07y", [("xy", Style(color="color(1)"))]),
        ("1 %\r2 %\r\n", [("2 %", Style())]),
    ],
)
def test_a_line_becomes_pieces_with_styles(raw: str, pieces: list[tuple[str, Style]]) -> None:
    assert coloured(raw) == pieces


@given(st.text(st.one_of(st.characters(), st.sampled_from("\x1b[]m;0123\x07\r\n\x9b")), max_size=80))
def test_no_control_character_and_no_link_comes_out(raw: str) -> None:
    for text, style in coloured(raw):
        assert text.isprintable() or all(not ("\x00" <= char < " " or char == "\x7f") for char in text)
        assert style.link is None
