"""The presentation of a problem."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.devfile import DevfileError, Diagnostic, caret
from wsdash.devfile.diagnostics import bounded, show, visible
from wsdash.devfile.limits import MAX_DIAGNOSTICS


def at(line: int, column: int) -> Diagnostic:
    return Diagnostic(line, column, "error", "schema.wrong-type", "wrong")


def test_the_caret_stands_below_the_column() -> None:
    assert caret("a: 1\nbb: wrong\n", at(2, 5)) == "bb: wrong\n    ^"


def test_the_caret_may_stand_behind_the_end_and_a_missing_line_is_empty() -> None:
    assert caret("a:", at(1, 3)) == "a:\n  ^"
    assert caret("a:", at(9, 1)) == ""


def test_control_characters_are_shown_and_take_one_place() -> None:
    assert caret("a\x1b[31m: \u202eb\tc", at(1, 8)) == "a\u241b[31m: \ufffdb c\n       ^"


def test_wide_characters_are_counted_as_the_terminal_shows_them() -> None:
    assert caret("名: x", at(1, 4)) == "名: x\n    ^"


def test_a_long_line_is_cut_around_the_column() -> None:
    line, pointer = caret("a" * 5000 + "!" + "b" * 5000, at(1, 5001)).split("\n")
    assert len(line) <= 100
    assert line[pointer.index("^")] == "!"


@given(st.text(), st.integers(1, 9), st.integers(1, 99))
def test_no_text_can_reach_the_terminal_unescaped(text: str, line: int, column: int) -> None:
    shown = caret(text, at(line, column))
    assert shown == "" or shown.count("\n") == 1
    assert not set(shown) & {"\x1b", "\r", "\x07", "\x9b", "\u202e", "\u2028"}


@given(st.text())
def test_a_shown_value_is_one_short_line(text: str) -> None:
    assert len(show(text)) <= 65
    assert not {"\n", "\r", "\x1b"} & set(show(text))
    assert len(visible(text)) == len(text)


def test_an_error_without_a_document_names_file_line_and_problem() -> None:
    error = DevfileError([at(3, 4), at(2, 1)], "x.yaml")
    assert str(error) == "x.yaml:2:1: wrong"
    assert [d.line for d in error.diagnostics] == [2, 3]


def test_a_flood_is_cut_errors_are_kept_and_the_cut_is_said() -> None:
    flood = [Diagnostic(n, 1, "info", "ignored.attribute", "x") for n in range(1, 1000)]
    kept = bounded([*flood, at(5000, 1)])
    assert len(kept) == MAX_DIAGNOSTICS + 1
    assert kept[-2:] == (
        at(5000, 1),
        Diagnostic(5000, 1, "error", "schema.too-many-problems", "800 more remarks are left out"),
    )


def test_a_line_and_a_value_are_told_without_what_stands_before_a_host() -> None:
    line = "uri: 'https://ada:secret@host/x'"
    output = caret(line, Diagnostic(1, 6, "error", "a", "b"))
    assert output == "uri: 'https://**********@host/x'\n     ^"
    assert show("https://ada:sec/ret@host/x") == '"https://***********@host/x"'
    assert show("https://host/a@b and git@host:x") == '"https://host/a@b and git@host:x"'


@pytest.mark.parametrize(
    "text",
    [
        "https://host/parent.yaml?private_token=MARKER",
        "https://host/x;access_token=MARKER&ref=main",
        "https://host/x?MARKERMARKERMARKERMARKER",
        "{origin: 'ada:MARKER@host:group/app'}",
        "ftp:/ada:MARKER@host/x",
        "glpat-MARKERMARKERMARKER@host/app.git",
        "run --token=github_pat_MARKERMARKERMARKER",
    ],
)
def test_a_secret_is_told_nowhere_and_the_column_stays(text: str) -> None:
    assert "MARKER" not in show(text, 200)
    line, below = caret(f"key: {text}", Diagnostic(1, 6, "error", "a", "b")).split("\n")
    assert "MARKER" not in line
    assert (len(line), below) == (len(f"key: {text}"), "     ^")


@pytest.mark.parametrize(
    "text",
    [
        "https://host/x?ref=main#L12",
        "image: debian:13@sha256:0123456789abcdef",
        "git@host:group/app.git",
        "postgres:16 and ada@example.com",
        "glob-patterns-are-long-names",
    ],
)
def test_what_is_no_secret_is_told_as_it_is(text: str) -> None:
    assert show(text, 200) == f'"{text}"'
