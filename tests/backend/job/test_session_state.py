"""The rule that tells a session's state from facts that know no vendor, as session_state.sh has it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.backend.job.conftest import SHELLS
from tests.backend.job.scripts import HERE

FIELDS = (
    *("age", "bell", "dead", "code", "signal", "shell", "raw", "reads"),
    *("cpu", "quiet", "match", "report", "reported", "typed"),
)
QUIET = {"age": "60", "bell": "0", "dead": "0", "cpu": "0", "quiet": "3", "raw": "0"}


class Rule:
    """The memory of one session, called `s`, from look to look."""

    def __init__(self, shell: tuple[str, ...], folder: Path) -> None:
        self.shell = shell
        self.folder = folder
        self.uptime = 1000
        (folder / "memory").write_text("")

    def look(self, after: int = 1, **facts: str) -> str:
        self.uptime += after
        cells = ["s", *(str({**QUIET, **facts}.get(name, "")) for name in FIELDS)]
        (self.folder / "facts").write_text("|".join(cells) + "\n")
        script = f'. "{HERE}/session_state.sh"; decide_states "$@"'
        argv = [*self.shell, "-c", script, "sh", str(self.uptime), "facts", "memory"]
        done = subprocess.run(argv, cwd=self.folder, capture_output=True, text=True, check=True)
        (self.folder / "memory").write_text(done.stdout)
        self.cells = done.stdout.rstrip("\n").split("|")
        return self.cells[1]

    @property
    def since(self) -> int:
        return int(self.cells[2])

    @property
    def evidence(self) -> str:
        return self.cells[4]


@pytest.fixture(params=SHELLS)
def rule(request: pytest.FixtureRequest, tmp_path: Path) -> Rule:
    return Rule(request.param, tmp_path)


CERTAIN: dict[str, tuple[dict[str, str], str, str]] = {
    "a program that has ended well": ({"dead": "1", "code": "0"}, "done", "exit code 0"),
    "one that has not": ({"dead": "1", "code": "3"}, "failed", "exit code 3"),
    "one that a signal ended": ({"dead": "1", "code": "143"}, "failed", "killed by signal 15"),
    "one of which nobody knows how": (
        {"dead": "1"},
        "failed",
        "it has ended, and its exit code is not known",
    ),
    "one that was killed": ({"dead": "1", "code": "0", "signal": "9"}, "failed", "killed by signal 9"),
    "one that rang": ({"bell": "1", "raw": "1", "cpu": "90"}, "waiting", "it rang the bell"),
    "a shell at its prompt": ({"shell": "1", "raw": "1"}, "idle", "a shell shows its prompt"),
    "one that reads a line, just after it has asked": (
        {"age": "0", "reads": "1"},
        "waiting",
        "it reads a line from its terminal",
    ),
    "one that prints": ({"age": "1"}, "working", "it printed 1 second ago"),
    "one that computes": ({"cpu": "7"}, "working", "it uses 7 % of a core"),
    "one that waits for keys": ({"raw": "1"}, "idle", "it waits for keys"),
    "a pager": ({"raw": "1", "reads": "1"}, "idle", "it waits for keys"),
    "a quiet one that does not read its terminal": (
        {},
        "working",
        "it is quiet, and does not read its terminal",
    ),
    "one whose terminal and processes cannot be seen": ({"raw": "", "cpu": ""}, "working", "it is quiet"),
    "one that says what it does": (
        {"report": "idle", "reported": "4"},
        "idle",
        "it said so itself 4 seconds ago",
    ),
    "one that says so, and then was typed into": (
        {"report": "waiting", "reported": "9", "typed": "5", "age": "1"},
        "working",
        "it printed 1 second ago",
    ),
    "one whose screen is that of a turn at work": (
        {"match": "working", "raw": "1"},
        "working",
        "its screen matches a working pattern of the profile",
    ),
}


@pytest.mark.parametrize("case", CERTAIN)
def test_the_first_fact_that_fits_decides(rule: Rule, case: str) -> None:
    facts, state, evidence = CERTAIN[case]
    assert rule.look(1, **facts) == state
    assert rule.evidence.startswith(evidence)


def test_a_program_that_was_busy_and_now_waits_for_keys_waits_for_somebody(rule: Rule) -> None:
    for _ in range(6):
        assert rule.look(raw="1", age="0") == "working"
    assert rule.look(raw="1", age="3", after=3) == "working"  # a guess must hold for two looks
    assert rule.look(raw="1", age="4") == "waiting"
    assert rule.evidence == "it printed, and has been quiet since"
    assert rule.look(raw="1", age="64", after=60) == "waiting"
    assert rule.look(raw="1", age="70", typed="2", after=6) == "idle"


def test_a_program_that_only_drew_its_screen_is_idle(rule: Rule) -> None:
    assert rule.look(raw="1", age="0") == "working"
    assert rule.look(raw="1", age="4", after=4) == "idle"


def test_a_screen_that_matches_for_one_look_is_no_question(rule: Rule) -> None:
    assert rule.look(raw="1", age="0") == "working"
    assert rule.look(raw="1", age="0", match="waiting") == "working"
    assert rule.look(raw="1", age="0") == "working"
    assert rule.look(raw="1", age="0", match="waiting") == "working"
    assert rule.look(raw="1", age="0", match="waiting") == "waiting"


def test_the_time_of_a_state_is_that_of_its_first_look(rule: Rule) -> None:
    rule.look(age="0")
    first = rule.since
    rule.look(age="2", after=2)
    assert rule.since == first
    rule.look(dead="1", code="0", after=7)
    assert rule.since == rule.uptime
