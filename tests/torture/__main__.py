"""`python -m tests.torture [--kills 300] [--minutes M] [--seed N] [--resume FOLDER]`; README.md tells more."""

from __future__ import annotations

import argparse
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.torture.ledger import Expected
from tests.torture.processes import processes_of
from tests.torture.progress import Played, Progress
from tests.torture.rounds import Round, delete_all, lose_the_store, play
from tests.torture.user import Deeds, begin
from tests.torture.world import KINDS, World

ROUNDS_OF_A_WORLD = 8


def main(argv: Sequence[str]) -> int:
    """Exit code 1 where something was violated."""
    options = _options(argv)
    folder = options.resume or options.folder or Path(tempfile.mkdtemp(prefix="wsdash-torture-"))
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for process in processes_of(folder):
        process.signal(signal.SIGKILL)
    if options.resume:
        progress = Progress.load(folder)
        progress.kills = options.kills or progress.kills
    else:
        seed = secrets.randbelow(10**8) if options.seed is None else options.seed
        progress = Progress(seed, options.kills or 300, options.worlds.split(","))
    print(f"seed {progress.seed}, in {folder}", flush=True)
    end = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    while progress.killed < progress.kills and time.monotonic() < end:
        _world(folder, progress, options, end)
    report = progress.report()
    (folder / "report.md").write_text(report)
    print(report)
    return 1 if progress.violations else 0


def _world(folder: Path, progress: Progress, options: argparse.Namespace, end: float) -> None:
    """Some rounds in a new world, the loss of its store, and the deletion of all that is in it."""
    number = progress.worlds
    progress.worlds += 1
    progress.save(folder)  # a run that is killed in this world goes on with the next one
    kind = progress.kinds[number % len(progress.kinds)]
    dice = random.Random(f"{progress.seed} {number}")
    place = folder / f"world-{number}"

    def take(which: int, began: float, played: Round) -> bool:
        """Keep what a round gave; whether the world can go on."""
        progress.played.append(Played(kind, number, which, time.monotonic() - began, played))
        progress.save(folder)
        _tell(progress.played[-1])
        return not played.violations

    with World(place, kind, options.slots, escapes=not options.no_escapes) as world:
        expected = {name: Expected() for name in world.names}
        world.keep_daemon(pause_s=1.0)
        for _ in range(options.dashboards):
            world.open_dashboard()
        begun = Deeds()
        begin(world, expected, begun, dice)
        sound = not begun.violations or take(-1, time.monotonic(), Round(violations=begun.violations))
        for which in range(options.rounds):
            if not sound or progress.killed >= progress.kills or time.monotonic() > end:
                break
            began = time.monotonic()
            sound = take(
                which,
                began,
                play(
                    world,
                    expected,
                    dice,
                    kills=min(options.kills_of_a_round, max(1, progress.kills - progress.killed)),
                    pause_s=options.pause or (2.0 if kind == "gitlab" else 0.7),
                    users=options.users,
                    long_stops=not options.short_stops,
                ),
            )
        if sound and not options.keep_store:
            began = time.monotonic()
            sound = take(options.rounds, began, lose_the_store(world, expected, dice))
        if sound:
            began = time.monotonic()
            take(options.rounds + 1, began, delete_all(world, expected))


def _tell(played: Played) -> None:
    one = played.round
    output = ", ".join(one.roles) or "everything deleted"
    if one.looks:
        output = f"round {played.number}, {one.kills} kills, {one.acknowledged} of {one.commands} commands acknowledged"
    if one.convergence_s is not None:
        output += f", converged after {one.convergence_s:.1f} s"
    print(f"{played.kind} world {played.world}: {output}; {played.seconds:.0f} s", flush=True)
    for text in one.violations:
        print(f"  VIOLATION {text}", flush=True)


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--kills", type=int, help="end after so many (300)")
    parser.add_argument("--minutes", type=float, help="end after so long, though the kills are not done")
    parser.add_argument("--seed", type=int, help="of what is chosen at random; a run prints its own")
    parser.add_argument("--resume", type=Path, metavar="FOLDER", help="go on with the run in this folder")
    parser.add_argument("--folder", type=Path, help="where all files go; a new temporary folder")
    parser.add_argument("--worlds", default=",".join(KINDS), help="kinds of worlds, in turn (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS_OF_A_WORLD, help="of a world (%(default)s)")
    parser.add_argument("--kills-of-a-round", type=int, default=12, help="%(default)s")
    parser.add_argument(
        "--pause", type=float, default=0.7, help="seconds between two kills, mean (%(default)s)"
    )
    parser.add_argument("--slots", type=int, default=4, help="names of workspaces (%(default)s)")
    parser.add_argument("--users", type=int, default=2, help="who act at the same time (%(default)s)")
    parser.add_argument("--dashboards", type=int, default=1, help="%(default)s")
    parser.add_argument(
        "--short-stops", action="store_true", help="stop nothing for longer than a lease lasts"
    )
    parser.add_argument("--keep-store", action="store_true", help="do not lose the store")
    parser.add_argument("--no-escapes", action="store_true", help="no job's process clears its environment")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
