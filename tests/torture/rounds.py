"""One round in a world: kills and acts for a while, then quiet, in which all must become as it was acknowledged."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.checks import Watcher, desired_of, unmet, wrong_at_rest
from tests.torture.killer import Killed, Killer
from tests.torture.ledger import ABSENT, RUNNING, STOPPED, Expected
from tests.torture.processes import processes_of
from tests.torture.user import Deeds, User
from tests.torture.world import LOSSES, World

LIMIT_S = {"bubblewrap": 90.0, "plain": 90.0, "gitlab": 240.0}
"""After so long without convergence something is stuck. Generous, for the machine may be busy."""
NEW_START_S = 15.0
"""After so long only leftovers may be unmet, which the next start of a reconciler has to finish."""
LONGEST_ROUND_S = 240.0
MOST_TOLD = 8


@dataclass
class Round:
    """The result of one round. `convergence_s` is None if it did not converge within the limit."""

    kills: int = 0
    stops: int = 0
    commands: int = 0
    acknowledged: int = 0
    looks: int = 0
    convergence_s: float | None = None
    roles: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


def play(
    world: World,
    expected: dict[str, Expected],
    dice: random.Random,
    *,
    kills: int,
    pause_s: float,
    users: int,
    long_stops: bool,
) -> Round:
    """Kills and acts, then quiet. A round with a violation leaves its evidence below `world.folder`."""
    deeds, killed = Deeds(), Killed()
    has_calmed = False
    end = time.monotonic() + LONGEST_ROUND_S

    def is_wild() -> bool:
        return not has_calmed and time.monotonic() < end

    seeds = [dice.random() for _ in range(users + 1)]
    killer = Killer(
        world, kills, killed, deeds, random.Random(seeds[0]), is_wild, pause_s=pause_s, long_stops=long_stops
    )
    acting = [
        User(world, world.names[number::users], expected, deeds, random.Random(seed), is_wild)
        for number, seed in enumerate(seeds[1:])
    ]
    watches = True
    watcher = Watcher(world, deeds, lambda: watches)
    for thread in (watcher, killer, *acting):
        thread.start()
    killer.join()
    has_calmed = True
    for thread in acting:
        thread.join()
    world.revive()
    began = time.monotonic()
    left = _converge(world, expected, deeds, began)
    convergence = None if left else time.monotonic() - began
    for text in left:
        deeds.violation(f"not after {LIMIT_S[world.kind]:g} s: {text}")
    watches = False
    watcher.join()
    if not left:
        for text in wrong_at_rest(world, world.rows(), expected):
            deeds.violation(text)
    if deeds.violations:
        keep_evidence(world, deeds)
    return Round(
        killed.kills.total() + deeds.kills,
        killed.stops.total(),
        deeds.commands,
        deeds.acknowledged,
        watcher.looks,
        convergence,
        dict(killed.kills + _count("command", deeds.kills)),
        dict(deeds.refusals),
        _short(deeds.violations),
    )


def _short(violations: list[str]) -> list[str]:
    """The text for the report; the evidence has everything."""
    more = len(violations) - MOST_TOLD
    return violations if more <= 0 else [*violations[:MOST_TOLD], f"and {more} more"]


def delete_all(world: World, expected: dict[str, Expected]) -> Round:
    """Delete every workspace: nothing must be left (I6)."""
    deeds = Deeds()
    world.revive()
    for row in world.rows():
        answer = world.run("delete", str(row["name"]), "--yes")
        if answer.code:
            deeds.violation(f"delete {row['name']}: {answer.err[-300:]}")
        if str(row["name"]) in expected:
            expected[str(row["name"])].note("delete", answer.code)
    for text in _converge(world, expected, deeds, time.monotonic()):
        deeds.violation(f"after everything was deleted: {text}")
    if deeds.violations:
        keep_evidence(world, deeds)
    return Round(violations=_short(deeds.violations))


def lose_the_store(world: World, expected: dict[str, Expected], dice: random.Random) -> Round:
    """Take the database away under all that runs, or put an older one in its place, and recover (I7)."""
    deeds = Deeds()
    before = {str(row["id"]): row for row in world.rows()}
    can_go_back = any((world.state / "backups").glob("*.db"))
    how = dice.choice(LOSSES if can_go_back else LOSSES[:-1])
    world.lose_store(how)
    deeds.step(f"the store is {how}")
    answer = world.run("recover", "--yes")
    deeds.step(f"recover: {answer.code} {answer.out[-300:]} {answer.err[-300:]}")
    end = time.monotonic() + LIMIT_S[world.kind]
    missing = ["not looked yet"]
    while missing and time.monotonic() < end:
        time.sleep(0.5)
        try:
            there = {str(row["id"]): row for row in world.rows()}
        except RuntimeError as error:
            missing = [str(error)]
            continue
        missing = [
            f"I7 {row['name']} ({desired_of(row)}) is not recovered"
            for key, row in before.items()
            if desired_of(row) != ABSENT
            and row["attempt"] is not None
            and key not in there
            and how != "put back"
        ]
    for text in missing:
        deeds.violation(text)
    for name, one in expected.items():
        row = next((row for row in before.values() if row["name"] == name), None)
        wanted = desired_of(row)
        if row is not None and row["attempt"] is None:
            # One that was never started has nothing but its row: the command that made it was killed.
            one.may_be = frozenset({ABSENT, STOPPED, RUNNING})
        elif how == "put back":
            # Its own wishes count again, as they were then.
            one.may_be, one.lines = frozenset({ABSENT, RUNNING, STOPPED}), 0
        elif wanted == STOPPED:
            # That stood in the store alone.
            one.may_be = frozenset({STOPPED, RUNNING})
    for text in _converge(world, expected, deeds, time.monotonic()):
        deeds.violation(f"after the store was {how}: {text}")
    if not deeds.violations:
        for text in wrong_at_rest(world, world.rows(), expected):
            deeds.violation(f"after the store was {how}: {text}")
    if deeds.violations:
        keep_evidence(world, deeds)
    return Round(roles={f"store {how}": 1}, violations=_short(deeds.violations))


def _converge(world: World, expected: dict[str, Expected], deeds: Deeds, began: float) -> list[str]:
    """Wait until nothing is unmet, and settle what is wanted. What is still unmet when the limit has come."""
    started_anew = False
    while True:
        try:
            rows = world.rows()
            left = unmet(world, rows, expected)
        except RuntimeError as error:
            rows, left = [], [str(error)]
        waited = time.monotonic() - began
        if not left or waited > LIMIT_S[world.kind]:
            break
        if not started_anew and waited > NEW_START_S and all(text.startswith("I6") for text in left):
            started_anew = True
            deeds.step(f"the reconcilers are ended, for a start has to finish: {left}")
            _end_reconcilers(world)
        time.sleep(0.1)
    by_name = {str(row["name"]): row for row in rows}
    if not any(text.startswith("list") for text in left):
        for name in world.names:
            wanted = desired_of(by_name.get(name))
            wrong = expected[name].settle(wanted)
            if wrong:
                deeds.violation(f"I4 {name}: {wrong}")
                expected[name].may_be = frozenset({wanted})
    return left


def _end_reconcilers(world: World) -> None:
    for dashboard in world.dashboards:
        dashboard.signal(signal.SIGKILL)
    for process in processes_of(world.folder):
        if process.role == "daemon":
            process.signal(signal.SIGTERM)


def keep_evidence(world: World, deeds: Deeds) -> Path:
    """The steps, the processes, the store and the logs, in a folder of its own."""
    folder = world.folder / "evidence" / f"{time.time():.0f}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "steps").write_text("\n".join(deeds.steps) + "\n")
    listed = subprocess.run(
        ["ps", "-eo", "pid,ppid,stat,lstart,args"], capture_output=True, text=True, check=False
    )
    (folder / "processes").write_text(
        "\n".join(
            line for line in listed.stdout.splitlines() if str(world.folder) in line or "wsdash" in line
        )
    )
    for file in (*world.state.glob("*.db*"), *world.state.glob("*.log"), world.folder / "daemon.log"):
        _copy(file, folder / file.name)
    _copy(world.state / "crashes", folder / "crashes")
    for kind in ("state", "spec", "exit", "supervisor", "cancel"):
        for file in (world.state / "contexts").glob(f"*/jobs/*/{kind}.json"):
            _copy(file, folder / "jobs" / file.parent.name / file.name)
    for verb in (("list", "--all", "--json"), ("plan", "--json"), ("doctor",)):
        answer = world.run(*verb, timeout=30)
        (folder / f"{verb[0]}.txt").write_text(f"{answer.code}\n{answer.out}\n{answer.err}")
    for name in world.names:
        answer = world.run("events", name, timeout=30)
        (folder / f"events-{name}.txt").write_text(answer.out + answer.err)
    return folder


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.exists():
            shutil.copy2(source, target)
    except OSError:
        return


def _count(role: str, number: int) -> Counter[str]:
    return Counter({role: number})
