"""Printing on terminals and into files: signs, colours, widths, times, JSON."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest

from wsdash.commands.console import (
    SIGNS,
    cells,
    fit,
    instant,
    phase_sign,
    print_json,
    print_stderr,
    print_table,
)
from wsdash.model import Phase
from wsdash.screens.text.glyphs import ASCII, UNICODE


class Stream(io.TextIOWrapper):
    """A stream of this encoding, which may be a terminal."""

    def __init__(self, encoding: str, *, is_terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


def test_signs_are_those_of_the_dashboard() -> None:
    assert {phase: sign for phase, (sign, _, _) in SIGNS.items()} == UNICODE.phases
    assert {phase: sign for phase, (_, sign, _) in SIGNS.items()} == ASCII.phases
    assert set(SIGNS) == set(Phase)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1.9996, "1970-01-01T00:00:02.000Z"),
        (None, None),
        (float("inf"), None),
    ],
)
def test_instants_are_iso_8601_in_utc(at: float | None, text: str | None) -> None:
    assert instant(at) == text


def test_what_does_not_fit_is_cut_and_says_so() -> None:
    assert fit("short", 10) == "short"
    assert fit("漢字漢字漢字", 7) == "漢字.."
    assert fit("two\nlines", 20) == "two lines"


def test_a_phase_is_a_sign_that_the_stream_can_encode_with_its_condition() -> None:
    assert phase_sign(Phase.RUNNING, Stream("utf-8")) == "● running"
    assert phase_sign(Phase.RUNNING, Stream("latin-1")) == "* running"
    assert phase_sign(Phase.RUNNING, Stream("ascii"), "degraded") == "! running, degraded"


@pytest.mark.parametrize(
    ("variable", "value", "is_coloured"),
    [("LANG", "C.UTF-8", True), ("NO_COLOR", "1", False), ("NO_COLOR", "", True), ("TERM", "dumb", False)],
)
def test_colour_is_for_terminals_whose_user_wants_it(
    variable: str, value: str, is_coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    text = phase_sign(Phase.FAILED, Stream("utf-8", is_terminal=True))
    assert ("\x1b[31m" in text) is is_coloured
    assert cells(text) == len("x failed")
    assert "\x1b" not in phase_sign(Phase.FAILED, Stream("utf-8"))


def test_a_table_is_aligned_by_columns_of_the_terminal_and_cut_at_its_edge(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_table(("NAME", "REASON"), [("漢字", "x" * 60), ("\x1b[31mab\x1b[0m", "y\x1b[2Jz\n")])
    head, wide, coloured = capsys.readouterr().out.splitlines()
    assert head == "NAME  REASON"
    assert wide == "漢字  " + "x" * 32 + ".."
    assert re.sub(r"\x1b\[\d+m", "", coloured).startswith("ab    y")
    assert "\x1b[2J" not in coloured


def test_json_is_ascii_and_an_array_for_programs_has_an_item_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_json([{"name": "漢"}, {"name": "b"}])
    text = capsys.readouterr().out
    assert text.isascii() and len(text.splitlines()) == 2
    assert json.loads(text) == [{"name": "漢"}, {"name": "b"}]
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"until": float("inf")})


def test_a_standard_error_that_takes_nothing_stops_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stderr", full)
        print_stderr("a line that is lost")
        print_stderr("and the next one")
