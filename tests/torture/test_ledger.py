"""The expected states of a workspace after commands that were acknowledged, refused or killed."""

from __future__ import annotations

from tests.torture.ledger import ABSENT, RUNNING, STOPPED, Expected

KILLED = -9


def after(*commands: tuple[str, int]) -> Expected:
    expected = Expected()
    for verb, exit_code in commands:
        assert expected.note(verb, exit_code) is None
    return expected


def test_only_what_was_acknowledged_last_is_possible() -> None:
    assert after(("create", 0), ("stop", 0)).may_be == {STOPPED}
    assert after(("create", 0), ("stop", 0), ("restart", 0)).may_be == {RUNNING}
    assert after(("create", 0), ("delete", 0)).may_be == {ABSENT}


def test_a_killed_command_may_have_done_its_work() -> None:
    assert after(("create", KILLED)).may_be == {ABSENT, STOPPED, RUNNING}
    assert after(("create", 0), ("stop", 0), ("create", KILLED)).may_be == {STOPPED}
    assert after(("create", 0), ("stop", KILLED)).may_be == {RUNNING, STOPPED}


def test_a_name_that_is_unknown_though_it_was_created_is_a_violation() -> None:
    assert after(("create", KILLED), ("stop", 3)).may_be == {ABSENT}
    assert "knows no such workspace" in (after(("create", 0)).note("stop", 3) or "")


def test_the_list_settles_what_was_open_and_contradicts_nothing_that_was_acknowledged() -> None:
    open_still = after(("create", 0), ("stop", KILLED))
    assert open_still.settle(RUNNING) is None
    assert open_still.may_be == {RUNNING}
    assert "stopped was acknowledged" in (after(("create", 0), ("stop", 0)).settle(RUNNING) or "")


def test_lines_are_expected_for_as_long_as_it_is_the_same_workspace() -> None:
    expected = after(("create", 0))
    expected.lines = 7
    for verb, exit_code, lines in (("restart", 0, 7), ("delete", KILLED, 7), ("create", 1, 0)):
        expected.note(verb, exit_code)
        assert expected.lines == lines
