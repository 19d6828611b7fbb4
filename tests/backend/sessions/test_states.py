"""A job's list of its sessions is untrusted text."""

from __future__ import annotations

import pytest

from wsdash.backend.sessions.states import State, is_name, sessions


def line(name: str, state: str = "working", *, evidence: str = "it prints") -> str:
    return f"wsdash-session|{name}|{state}|12|output|{evidence}|claude|claude --resume a|b"


def test_those_that_wait_for_somebody_come_first() -> None:
    lines = [line("a", "idle"), line("b", "done"), line("c", "waiting"), line("d", "failed"), line("e")]
    assert [one.name for one in sessions("\n".join(lines))] == ["c", "d", "e", "a", "b"]


def test_a_line_has_every_field_and_a_command_may_hold_the_separator() -> None:
    (found,) = sessions(line("a"))
    assert (found.state, found.seconds, found.rule, found.evidence) == (
        State.WORKING,
        12,
        "output",
        "it prints",
    )
    assert (found.profile, found.line) == ("claude", "claude --resume a|b")


@pytest.mark.parametrize("name", ["", ".x", "-x", "../x", "a b", "hub", "a" * 65, "ä"])
def test_a_name_that_no_session_can_have_is_left_out(name: str) -> None:
    assert not is_name(name)
    assert sessions(line(name)) == ()


def test_texts_of_the_job_reach_no_terminal_unchanged() -> None:
    (found,) = sessions(line("a", evidence="\x1b]0;gone\x07" + "x" * 5000))
    assert "\x1b" not in found.evidence and len(found.evidence) <= 300


def test_a_state_of_a_later_version_is_unknown_and_other_lines_are_none() -> None:
    assert [
        one.state for one in sessions(line("a", "dreaming") + "\nWelcome to the host\nwsdash-session|b")
    ] == [State.UNKNOWN]


def test_a_flood_is_cut() -> None:
    assert len(sessions("\n".join(line(f"s{number}") for number in range(5000)))) <= 201
