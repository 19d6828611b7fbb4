"""Which process is meant: pid and start time, for a pid alone may have been given to another."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process of one boot of this machine.

    `start` is the kernel's own count (clock ticks since boot), which no change of the wall clock moves;
    psutil's `create_time` is derived from the wall clock and does move.
    """

    pid: int
    start: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The process that has this pid now, None if there is none."""
        start = start_ticks(pid)
        return None if start is None else cls(pid, start, boot_id())

    @classmethod
    def own(cls) -> ProcessIdentity:
        identity = cls.of(os.getpid())
        assert identity is not None
        return identity

    def is_running(self) -> bool:
        return self.boot_id == boot_id() and start_ticks(self.pid) == self.start


def start_ticks(pid: int) -> int | None:
    """Start time of a process that is not a zombie, None if there is none (proc(5), stat fields 3 and 22)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError:
        return _start_without_proc(pid)
    fields = stat[stat.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


@cache
def boot_id() -> str:
    """An id of this boot of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import psutil

        return f"{psutil.boot_time():.0f}"


def _start_without_proc(pid: int) -> int | None:
    import psutil

    try:
        return int(psutil.Process(pid).create_time() * 100)
    except psutil.NoSuchProcess:
        return None
