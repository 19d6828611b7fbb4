"""Processes: who descends from whom, who carries a mark. For the supervisor: standard library only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from wsdash.backend.processes import read_file, stat_of

_PROC = Path("/proc")


def children(pid: int) -> list[int]:
    """The children of a process. Empty when it has ended."""
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
    """Every process below `pid`, parents before their children."""
    found: list[int] = []
    waiting = children(pid)
    while waiting:
        found += waiting
        waiting = [child for parent in waiting for child in children(parent)]
    return found


def all_pids() -> list[int]:
    return [int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdigit()]


def marked(mark: str) -> list[int]:
    """Processes with this `NAME=VALUE` in the environment that they were started with.

    This process and those above it are left out.
    """
    wanted = mark.encode()
    own = set(_line_of(os.getpid()))
    return [pid for pid in all_pids() if pid not in own and wanted in _environ(pid) and _is_running(pid)]


def resident_bytes(pids: list[int]) -> int:
    """Memory that the processes hold together; pages that they share are counted for each."""
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages += int(read_file(f"/proc/{pid}/statm").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _is_running(pid: int) -> bool:
    found = stat_of(pid)
    return found is not None and found[0] not in "ZX"


def _line_of(pid: int) -> Iterator[int]:
    while pid > 0:
        yield pid
        pid = (stat_of(pid) or ("", 0, 0))[2]


def _environ(pid: int) -> list[bytes]:
    try:
        return read_file(f"/proc/{pid}/environ").split(b"\0")
    except OSError:
        return []


def _has_children_files() -> bool:
    return Path("/proc/self/task", str(os.getpid()), "children").exists()
