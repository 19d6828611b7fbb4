"""The scripted user: acts on workspaces, one command after the other, and notes what was acknowledged."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.torture.ledger import ABSENT, RUNNING, STOPPED, Expected
from tests.torture.world import COMMAND_S, Answer, World, finish

WRITE = """\
cd "$PROJECT_SOURCE" && flock -w 60 .git/lines.lock sh -c '
n=$(cat lines.txt 2>/dev/null | wc -l); n=$((n + 1)); echo "$n" >>lines.txt && sync lines.txt && echo "wrote $n"'
"""
ACTS: dict[str, tuple[tuple[str, float], ...]] = {
    ABSENT: (("create", 0.9), ("list", 0.1)),
    RUNNING: (
        ("ssh", 0.45),
        ("restart", 0.15),
        ("stop", 0.15),
        ("delete", 0.1),
        ("show", 0.1),
        ("list", 0.05),
    ),
    STOPPED: (("start", 0.65), ("delete", 0.2), ("show", 0.15)),
}
KILLED_SHARE = 0.25
"""Of the user's own commands; beside those that the killer hits."""
CRASHES = ("wsdash has failed (", "Traceback (most recent call last)")
LOCKED_OUT = ("cannot be written to", "is malformed", "not a database", "disk I/O error")


@dataclass
class Deeds:
    """The commands of all users together, and their answers."""

    commands: int = 0
    acknowledged: int = 0
    kills: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self, text: str) -> None:
        with self.lock:
            self.steps.append(f"{time.time():.2f} {text}")

    def violation(self, text: str) -> None:
        with self.lock:
            self.violations.append(text)
            self.steps.append(f"{time.time():.2f} VIOLATION {text}")


def begin(world: World, expected: dict[str, Expected], deeds: Deeds, dice: random.Random) -> None:
    """Every second name gets a workspace, and runs, before anything is killed."""
    names = world.names[::2]
    user = User(world, names, expected, deeds, dice, lambda: False)
    for name in names:
        user.act("create", name, may_be_killed=False)
        world.run("start", name, "--wait")


class User(threading.Thread):
    """Acts on its own names alone, so that the order of what was asked of each is known."""

    def __init__(
        self,
        world: World,
        names: Sequence[str],
        expected: dict[str, Expected],
        deeds: Deeds,
        dice: random.Random,
        goes_on: Callable[[], bool],
    ) -> None:
        super().__init__(daemon=True)
        self._world = world
        self._names = names
        self._expected = expected
        self._deeds = deeds
        self._dice = dice
        self._goes_on = goes_on

    def run(self) -> None:
        while self._goes_on():
            name = self._dice.choice(self._names)
            believed = self._dice.choice(sorted(self._expected[name].may_be))
            verbs, weights = zip(*ACTS[believed], strict=True)
            self.act(self._dice.choices(verbs, weights)[0], name)

    def act(self, verb: str, name: str, *, may_be_killed: bool = True) -> Answer:
        """One command, and what its end means."""
        process = self._world.command(*self._words(verb, name), secret=f"mark-{name}-{self._deeds.commands}")
        began = time.monotonic()
        kills = may_be_killed and self._dice.random() < KILLED_SHARE
        after = self._dice.random() * 1.2
        if kills:
            if self._dice.random() < 0.5 and verb in ("stop", "start", "restart", "create", "delete"):
                self._amid_a_transaction(process, began)
            else:
                _wait(process, after)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                with self._deeds.lock:
                    self._deeds.kills += 1
        answer = finish(process, began, COMMAND_S)
        self._note(verb, name, answer)
        return answer

    def _amid_a_transaction(self, process: subprocess.Popen[str], began: float) -> None:
        """Wait until somebody has a transaction open, while the command runs: most likely the command itself."""
        journal = self._world.state / "state.db-journal"
        time.sleep(0.1)
        while process.poll() is None and time.monotonic() - began < 3.0:
            try:
                if journal.stat().st_size > 0:
                    return
            except OSError:
                continue

    def _words(self, verb: str, name: str) -> tuple[str, ...]:
        if verb == "create":
            source = self._world.source(name)
            return ("create", *source, "--name", name, "--yes", "--json", "--secret", "TORTURE_SECRET")
        if verb == "ssh":
            return ("ssh", name, "--", "sh", "-c", WRITE)
        if verb == "list":
            return ("list", "--all", "--json")
        return (verb, name, "--yes") if verb == "delete" else (verb, name)

    def _note(self, verb: str, name: str, answer: Answer) -> None:
        expected, deeds = self._expected[name], self._deeds
        with deeds.lock:
            deeds.commands += 1
            deeds.acknowledged += answer.code == 0
        deeds.step(f"{verb} {name}: {answer.code} after {answer.seconds:.1f} s {_first_line(answer)}")
        wrong = expected.note(verb, answer.code)
        if wrong:
            deeds.violation(f"I4 {name}: {wrong}")
        if verb == "ssh" and answer.code == 0 and "wrote" in answer.out:
            number = int(answer.out.rpartition("wrote ")[2].split()[0])
            if number <= expected.lines and not self._world.is_gitlab:
                deeds.violation(f"lines {name}: line {number} was written after {expected.lines} was")
            expected.lines = number
        if verb == "show" and answer.code == 0:
            _valid(verb, answer, deeds, is_json=False)
        if verb == "list" and answer.code == 0:
            _valid(verb, answer, deeds, is_json=True)
        if answer.code > 0:
            with deeds.lock:
                deeds.refusals[_first_line(answer).replace(name, "NAME")[:160]] += 1
        if "hung for" in answer.err:
            deeds.violation(f"hang {verb} {name}: {answer.err[-300:]}")
        for text in CRASHES:
            if text in answer.err:
                deeds.violation(f"crash {verb} {name}: {answer.err[-600:]}")
        if any(text in answer.err for text in LOCKED_OUT):
            deeds.violation(f"locked out {verb} {name}: {answer.err[-300:]}")


def _valid(verb: str, answer: Answer, deeds: Deeds, *, is_json: bool) -> None:
    try:
        assert not is_json or isinstance(json.loads(answer.out), list)
    except (ValueError, AssertionError):
        deeds.violation(f"{verb} says what is no JSON: {answer.out[:200]!r}")


def _first_line(answer: Answer) -> str:
    """The sentence of the error, without the hints that follow it."""
    lines = [line for line in answer.err.splitlines() if line.strip()]
    output = [line for line in lines if line.startswith("wsdash: ")] or lines[-1:]
    return output[0] if output and answer.code else ""


def _wait(process: subprocess.Popen[str], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
