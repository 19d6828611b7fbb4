"""Identifies a process by pid and start time, because the kernel reuses pids.

Raw start ticks are compared, since a start time in seconds (psutil's `create_time`) moves whenever the wall
clock is set. Standard library only, and no dataclass: every supervisor loads this, and a hundred may run.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


class ProcessIdentity:
    """Identifies a process even after its pid is reused: pid, start in clock ticks, boot id."""

    __slots__ = ("boot_id", "pid", "ticks")

    def __init__(self, pid: int, ticks: int, boot_id: str) -> None:
        self.pid = pid
        self.ticks = ticks
        self.boot_id = boot_id

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Return the identity of the process that has this pid now, None if there is none."""
        found = stat_of(pid)
        return None if found is None else cls(pid, found[1], boot_id())

    @classmethod
    def from_record(cls, record: dict[str, object] | None) -> ProcessIdentity | None:
        """Parse the result of `record`; None for anything else."""
        pid, ticks, boot = (
            (record or {}).get("pid"),
            (record or {}).get("ticks"),
            (record or {}).get("boot_id"),
        )
        if isinstance(pid, int) and isinstance(ticks, int) and isinstance(boot, str) and pid > 1:
            return cls(pid, ticks, boot)
        return None

    def record(self) -> dict[str, object]:
        """Return the identity as a JSON object."""
        return {"pid": self.pid, "ticks": self.ticks, "boot_id": self.boot_id}

    @classmethod
    def own(cls) -> ProcessIdentity:
        """Return the identity of this process."""
        identity = cls.of(os.getpid())
        assert identity is not None
        return identity

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProcessIdentity) and self.record() == other.record()

    def __hash__(self) -> int:
        return hash((self.pid, self.ticks, self.boot_id))

    def is_of_this_boot(self) -> bool:
        """Whether the process was started since the machine booted."""
        return self.boot_id == boot_id()

    def is_alive(self) -> bool:
        """Whether it still runs. A zombie does not."""
        found = stat_of(self.pid)
        return (
            found is not None and found[1] == self.ticks and found[0] not in "ZX" and self.is_of_this_boot()
        )

    def send(self, number: int) -> bool:
        """Send a signal to this process and to no other. Return False if it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.is_alive():
                return False
            import signal  # imported here: it builds enumerations, which most callers do not need

            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True


_boot_id: str | None = None


def boot_id() -> str:
    """Return the kernel's id of this boot."""
    global _boot_id
    if _boot_id is None:
        _boot_id = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return _boot_id


def stat_of(pid: int) -> tuple[str, int, int] | None:
    """Return state, start ticks (field 22 of proc(5)) and parent pid."""
    try:
        # The name may contain spaces and parentheses, so count from the last parenthesis.
        fields = read_file(f"/proc/{pid}/stat", 4096).rpartition(b")")[2].split()
        return fields[0].decode(), int(fields[19]), int(fields[1])
    except (OSError, ValueError, IndexError):
        return None


def read_file(path: str, at_most: int | None = None) -> bytes:
    """Return the whole file, or the result of a single read, which is faster."""
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
