"""The programs of children that are killed: `python -m tests.syscalls.scenarios SHIM`, reported by JSON lines.

What was acknowledged is appended to the file `acknowledged`, a line each.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from tests.backend.builders import workspace
from wsdash.backend.store import database
from wsdash.backend.store.store import Store
from wsdash.model import Desired, Workspace
from wsdash.paths import Paths
from wsdash.workload import Workload


def home_paths(home: Path) -> Paths:
    return Paths(home / "state", home / "config", home / "cache")


def named(name: str) -> Workspace:
    return replace(workspace(Desired.RUNNING), id=name, name=name)


def commands(home: Path) -> None:
    """A workspace is created and stopped, and another one is wanted deleted."""

    async def act() -> None:
        async with Store.open(home_paths(home)) as store:
            await store.create_workspace(named("new"), Workload(), "created")
            acknowledge(home, "create new")
            await store.set_desired_state("new", Desired.STOPPED, new_generation=False, now=1.0, text="stop")
            acknowledge(home, "stop new")
            await store.set_desired_state(
                "old", Desired.DELETED, new_generation=False, now=1.0, text="delete"
            )
            acknowledge(home, "delete old")

    asyncio.run(act())


def prepare(home: Path) -> None:
    """The store is opened: made, migrated or restored, as it needs."""
    database.prepare(home_paths(home))
    acknowledge(home, "prepared")


def backup(home: Path) -> None:
    database.backup(home_paths(home), "20260102T00")
    acknowledge(home, "backed up")


def acknowledge(home: Path, what: str) -> None:
    descriptor = os.open(home / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{what}\n".encode())
    os.close(descriptor)


SCENARIOS = {"commands": commands, "prepare": prepare, "backup": backup}


def main(shim: str) -> None:
    arm = ctypes.CDLL(shim).shim_arm
    arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int]
    database.BALLAST_SIZE = 16
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _live(request, arm)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        words = {0: "ended", -signal.SIGKILL: "killed"}
        print(words.get(status, f"failed with {status}"), flush=True)


def _live(request: dict[str, object], arm: ctypes._CFuncPtr) -> None:  # type: ignore[name-defined]
    status = 1
    try:
        database.wal_is_sound = lambda *_: bool(request["wal"])
        record = -1
        if request["record"] is not None:
            record = os.open(str(request["record"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        home = str(request["home"])
        arm(f"{home}/".encode(), request["kill_at"], int(bool(request["torn"])), record)
        SCENARIOS[str(request["scenario"])](Path(home))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1])
