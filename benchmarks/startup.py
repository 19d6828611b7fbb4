"""The time to the first output, compared with the minimum that the same tools need."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, medians_in_turn
from benchmarks.seed import stopped_workspaces
from benchmarks.terminal import Terminal

PYTHON = sys.executable
WSDASH = [PYTHON, "-m", "wsdash"]
BARE = [PYTHON, "-m", "benchmarks.bare_app"]


@dataclass(frozen=True)
class Sizes:
    workspaces: int
    starts: int
    calls: int


FULL = Sizes(workspaces=1000, starts=11, calls=25)
SMOKE = Sizes(workspaces=50, starts=1, calls=1)


def measure(sizes: Sizes) -> list[Figure]:
    """First row of many, `--version`, `list --json`, and resident memory."""
    with tempfile.TemporaryDirectory(prefix="wsdash-bench-") as folder:
        home = Path(folder)
        stopped_workspaces(home, sizes.workspaces)
        env = {**os.environ, "WSDASH_HOME": str(home)}
        return [*_first_row(env, sizes), *_quick_verbs(env, sizes), _memory(env, sizes)]


def _first_row(env: dict[str, str], sizes: Sizes) -> list[Figure]:
    def seconds(argv: list[str], marker: bytes) -> float:
        with Terminal(argv, env) as terminal:
            return terminal.seconds_to(marker)

    row, bare = medians_in_turn(
        sizes.starts,
        lambda: seconds(WSDASH, b"workspace-w0000"),
        lambda: seconds(BARE, b"bare-app-is-painted"),
    )
    name = f"start to the first row of {sizes.workspaces:,}"
    return [Figure(name, row * 1000, "ms", 2.1, bare * 1000, "a bare Textual app")]


def _quick_verbs(env: dict[str, str], sizes: Sizes) -> list[Figure]:
    def seconds(*argv: str) -> float:
        started = time.perf_counter()
        subprocess.run([PYTHON, *argv], env=env, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started

    version, nothing, listing, sqlite = medians_in_turn(
        sizes.calls,
        lambda: seconds("-m", "wsdash", "--version"),
        lambda: seconds("-c", "pass"),
        lambda: seconds("-m", "wsdash", "list", "--json"),
        lambda: seconds("-c", "import sqlite3"),
    )
    with tempfile.TemporaryDirectory(prefix="wsdash-bench-") as folder:
        few = {**env, "WSDASH_HOME": folder}
        stopped_workspaces(Path(folder), 10)
        env = few
        few_listing, few_sqlite = medians_in_turn(
            sizes.calls,
            lambda: seconds("-m", "wsdash", "list", "--json"),
            lambda: seconds("-c", "import sqlite3"),
        )
    return [
        Figure("wsdash --version", version * 1000, "ms", 5, nothing * 1000, "python -c pass"),
        Figure(
            "wsdash list --json, 10 workspaces",
            few_listing * 1000,
            "ms",
            4,
            few_sqlite * 1000,
            "python -c 'import sqlite3'",
        ),
        Figure(
            f"wsdash list --json, {sizes.workspaces:,} workspaces",
            listing * 1000,
            "ms",
            4,
            sqlite * 1000,
            "python -c 'import sqlite3'",
        ),
    ]


def _memory(env: dict[str, str], sizes: Sizes) -> Figure:
    """After the start has settled, with python-gitlab loaded as it will be for a GitLab context."""
    loaded = [
        PYTHON,
        "-c",
        "import threading, sys; threading.Timer(1.0, lambda: __import__('gitlab')).start();"
        "sys.argv = ['wsdash']; from wsdash.__main__ import main; sys.exit(main())",
    ]
    with Terminal(loaded, env) as terminal:
        terminal.seconds_to(b"workspace-w0000")
        time.sleep(4)
        own = terminal.resident_mib()
    with Terminal(BARE, env) as terminal:
        terminal.seconds_to(b"bare-app-is-painted")
        time.sleep(1)
        bare = terminal.resident_mib()
    return Figure(
        f"resident memory with {sizes.workspaces:,} workspaces", own, "MiB", 2, bare, "a bare Textual app"
    )
