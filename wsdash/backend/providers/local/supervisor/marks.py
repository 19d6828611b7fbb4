"""Marks every process of a job, so that it is found even after it has left its session, parents and environment.

The supervisor is a subreaper, so its descendants stay below it; but once it is killed, its orphans get another parent.
They are found by two properties that processes inherit: `WSDASH_JOB` in the environment, and a number unique to the job
as RLIMIT_LOCKS (getrlimit(2)), which no Linux since 2.4 enforces and no program sets. That number survives an emptied
environment, setsid, a double fork and closed descriptors, and every user may read it in /proc/PID/limits.

A job within a job may not raise its limit, so its numbers are just below those of the outer one.
Not found are processes that another program starts for the job (systemd-run, at, a container engine), and those that
lower the limit themselves. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from wsdash.backend.providers.local.layout import JobFiles
from wsdash.backend.system.files import json_files
from wsdash.backend.system.processes import read_file, stat_of

VARIABLE = "WSDASH_JOB"
_RLIMIT_LOCKS = 10  # from asm-generic/resource.h; Python has no name for it
_LINE = b"Max file locks"
_LOWEST = 2**61
_SPAN = 2**21
"""The numbers of jobs within a job are at most that far below its own."""


class Mark:
    """Both marks of one job."""

    __slots__ = ("environ", "number")

    def __init__(self, job_folder: Path, number: int | None) -> None:
        self.environ = f"{VARIABLE}={job_folder}".encode()  # attempt ids may repeat in copied state
        self.number = number

    @classmethod
    def of(cls, files: JobFiles) -> Mark:
        """Return the mark that the job's supervisor has recorded."""
        number = (json_files.read(files.supervisor) or {}).get("mark")
        return cls(files.folder, number if isinstance(number, int) else None)

    def is_of(self, pid: int) -> bool:
        """Whether a process has one of the marks."""
        number = _number(pid) if self.number is not None else None
        if number is not None and self.number is not None and self.number - _SPAN < number <= self.number:
            return True
        return self.environ in _environ(pid)


def take_on(job_folder: Path) -> int | None:
    """Mark this process and its future children; return the number, None if the system does not allow it."""
    digest = int.from_bytes(hashlib.sha256(os.fsencode(job_folder)).digest()[:7], "big")
    _, highest = resource.getrlimit(_RLIMIT_LOCKS)
    number = _LOWEST + digest
    if highest != resource.RLIM_INFINITY and number > highest:
        number = highest - 1 - digest % (_SPAN // 8)
    return number if _set(number) else None


def marked(mark: Mark) -> list[int]:
    """Return running processes with the mark, except this process and its ancestors."""
    own = set(_line_of(os.getpid()))
    pids = (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())
    return [pid for pid in pids if pid not in own and mark.is_of(pid) and _is_running(pid)]


def main(number: str, *argv: str) -> None:
    """Execute argv with a job's number, so that a command that runs next to a job ends with it."""
    _set(int(number))
    os.execvp(argv[0], argv)


def _set(number: int) -> bool:
    try:
        resource.setrlimit(_RLIMIT_LOCKS, (number, number))
    except (OSError, ValueError):
        return False
    return True


def _number(pid: int) -> int | None:
    try:
        for line in read_file(f"/proc/{pid}/limits").splitlines():
            if line.startswith(_LINE):
                return int(line.removeprefix(_LINE).split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return None


def _environ(pid: int) -> list[bytes]:
    try:
        return read_file(f"/proc/{pid}/environ").split(b"\0")
    except OSError:
        return []


def _is_running(pid: int) -> bool:
    found = stat_of(pid)
    return found is not None and found[0] not in "ZX"


def _line_of(pid: int) -> Iterator[int]:
    while pid > 0:
        yield pid
        pid = (stat_of(pid) or ("", 0, 0))[2]
