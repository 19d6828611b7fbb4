"""Processes: who is who across reboots and reused pids, who descends from whom, who carries a mark.

Used by the supervisor: standard library only. Raw start ticks are compared, since a start time in
seconds moves whenever the wall clock is set.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")


class Identity:
    """A process, told apart from every later one with the same pid: pid, start in clock ticks, boot id."""

    __slots__ = ("boot_id", "pid", "ticks")

    def __init__(self, pid: int, ticks: int, boot_id: str) -> None:
        self.pid = pid
        self.ticks = ticks
        self.boot_id = boot_id

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The process that has this pid now, None when there is none."""
        found = _stat(pid)
        return None if found is None else cls(pid, found[1], boot_id())

    @classmethod
    def from_record(cls, record: dict[str, object] | None) -> Identity | None:
        """What `record` made, None when it is anything else."""
        pid, ticks, boot = (
            (record or {}).get("pid"),
            (record or {}).get("ticks"),
            (record or {}).get("boot_id"),
        )
        if isinstance(pid, int) and isinstance(ticks, int) and isinstance(boot, str) and pid > 1:
            return cls(pid, ticks, boot)
        return None

    def record(self) -> dict[str, object]:
        return {"pid": self.pid, "ticks": self.ticks, "boot_id": self.boot_id}

    def is_of_this_boot(self) -> bool:
        return self.boot_id == boot_id()

    def is_alive(self) -> bool:
        """Whether it still runs. A zombie does not."""
        found = _stat(self.pid)
        return (
            found is not None and found[1] == self.ticks and found[0] not in "ZX" and self.is_of_this_boot()
        )

    def send(self, number: int) -> bool:
        """Sends a signal to this process and to no other. False when it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.is_alive():
                return False
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True


_boot_id: str | None = None


def boot_id() -> str:
    """The kernel's id of this boot."""
    global _boot_id
    if _boot_id is None:
        _boot_id = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return _boot_id


def children(pid: int) -> list[int]:
    """The children of a process. Empty when it has ended."""
    found: list[int] = []
    try:
        for task in os.scandir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += map(int, _read(f"{task.path}/children").split())
    except OSError:
        return found
    if not found and not _has_children_files():
        return [other for other in all_pids() if (_stat(other) or ("", 0, 0))[2] == pid]
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
            pages += int(_read(f"/proc/{pid}/statm").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _stat(pid: int) -> tuple[str, int, int] | None:
    """State, start ticks (field 22 of proc(5)) and parent."""
    try:
        # The name may hold spaces and parentheses, so count from the last parenthesis.
        fields = _read(f"/proc/{pid}/stat", 4096).rpartition(b")")[2].split()
        return fields[0].decode(), int(fields[19]), int(fields[1])
    except (OSError, ValueError, IndexError):
        return None


def _is_running(pid: int) -> bool:
    found = _stat(pid)
    return found is not None and found[0] not in "ZX"


def _line_of(pid: int) -> Iterator[int]:
    while pid > 0:
        yield pid
        pid = (_stat(pid) or ("", 0, 0))[2]


def _environ(pid: int) -> list[bytes]:
    try:
        return _read(f"/proc/{pid}/environ").split(b"\0")
    except OSError:
        return []


def _has_children_files() -> bool:
    return Path("/proc/self/task", str(os.getpid()), "children").exists()


def _read(path: str, at_most: int | None = None) -> bytes:
    """The whole file, or one read of it, which is faster."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if at_most is not None:
            return os.read(descriptor, at_most)
        data = b""
        while chunk := os.read(descriptor, 65536):
            data += chunk
        return data
    finally:
        os.close(descriptor)
