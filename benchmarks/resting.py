"""The costs of the dashboard while nothing, or one thing, happens."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.seed import paths_in, running_workspaces
from benchmarks.terminal import Terminal

LOOK_S = 15.0
"""Between two looks of the reconciler at rest."""
WSDASH = [sys.executable, "-m", "wsdash"]


@dataclass(frozen=True)
class Sizes:
    workspaces: int
    start_s: float
    """The time in which the start must be over: a whole steady period."""
    rest_s: float


FULL = Sizes(workspaces=100, start_s=17.0, rest_s=60.0)
SMOKE = Sizes(workspaces=25, start_s=0.0, rest_s=1.0)


def measure(sizes: Sizes) -> list[Figure]:
    """CPU and bytes at rest, bytes for one changed status and for one step of the cursor."""
    with tempfile.TemporaryDirectory(prefix="wsdash-bench-") as folder:
        home = Path(folder)
        beating = running_workspaces(home, sizes.workspaces)
        try:
            with Terminal(WSDASH, {**os.environ, "WSDASH_HOME": folder}) as terminal:
                terminal.seconds_to(b"workspace-w0000")
                time.sleep(sizes.start_s)
                return [*_at_rest(terminal, sizes), _cursor_step(terminal), _changed_status(terminal, home)]
        finally:
            beating.kill()
            beating.wait()


def _at_rest(terminal: Terminal, sizes: Sizes) -> list[Figure]:
    terminal.settle(1.0)
    cpu, written = terminal.cpu_s(), len(terminal.output)
    time.sleep(sizes.rest_s)
    share = (terminal.cpu_s() - cpu) / sizes.rest_s * 100
    return [
        Figure(f"CPU at rest, {sizes.workspaces} running workspaces", share, "% of a core", 1.0),
        Figure("bytes to the terminal at rest", len(terminal.output) - written, f"in {sizes.rest_s:g} s", 0),
    ]


def _cursor_step(terminal: Terminal) -> Figure:
    steps = [terminal.bytes_for(lambda: terminal.press(b"j")) for _ in range(5)]
    return Figure("bytes for one cursor step, worst of five", max(steps), "bytes", 1500)


def _changed_status(terminal: Terminal, home: Path) -> Figure:
    """One job says that it is being prepared again: one row's status changes, and nothing else."""
    state = paths_in(home).contexts / "local" / "jobs" / "aw0020" / "state.json"

    def change() -> None:
        record = json.loads(state.read_text())
        partial = state.with_name(".state")
        partial.write_text(json.dumps({**record, "ready_at": None}))
        partial.rename(state)
        before = len(terminal.output)
        deadline = time.monotonic() + 2 * LOOK_S
        while len(terminal.output) == before and time.monotonic() < deadline:
            time.sleep(0.05)

    return Figure("bytes for one changed status", terminal.bytes_for(change), "bytes", 600)
