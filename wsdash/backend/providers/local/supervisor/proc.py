"""Processes: their descendants and their memory. For the supervisor: standard library only."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from wsdash.backend.system.processes import read_file, stat_of

_PROC = Path("/proc")


def children(pid: int) -> list[int]:
    """Return the children of a process; none if it has ended."""
    found: list[int] = []
    try:
        for task in os.scandir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += map(int, read_file(f"{task.path}/children").split())
    except OSError:
        return found
    if not found and not _has_children_files():
        return [other for other in all_pids() if (stat_of(other) or ("", 0, 0))[2] == pid]
    return found


def descendants(pid: int) -> list[int]:
    """Return every process below `pid`, parents before their children."""
    found: list[int] = []
    waiting = children(pid)
    while waiting:
        found += waiting
        waiting = [child for parent in waiting for child in children(parent)]
    return found


def all_pids() -> list[int]:
    """Return the pids of all processes in /proc."""
    return [int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdigit()]


def resident_bytes(pids: list[int]) -> int:
    """Return the processes' memory; shared pages count once for each process."""
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages += int(read_file(f"/proc/{pid}/statm").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _has_children_files() -> bool:
    return Path("/proc/self/task", str(os.getpid()), "children").exists()
