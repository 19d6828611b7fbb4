"""How every process of a job is known, though it leaves its session, its parents and its environment.

What the supervisor has started is below it, for it is a subreaper; but once it is killed its orphans are anybody's.
They are known by two things that a process inherits: `WSDASH_JOB` in its environment, and a number of the job's own as
its RLIMIT_LOCKS (getrlimit(2)), which no Linux since 2.4 has obeyed and nothing sets. That number outlives an emptied
environment, setsid, a double fork and closed descriptors, and anybody may read it in /proc/PID/limits.

A job within a job has no right to a higher limit than it got, so its numbers lie just below those of the outer one.
Not known are processes that somebody else starts for the job (systemd-run, at, a container engine), and such as lower
that limit themselves. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from wsdash.backend.providers.local.layout import JobFiles
from wsdash.backend.system import json_files
from wsdash.backend.system.processes import read_file, stat_of

VARIABLE = "WSDASH_JOB"
_RLIMIT_LOCKS = 10  # of asm-generic/resource.h, for which Python has no name
_LINE = b"Max file locks"
_LOWEST = 2**61
_SPAN = 2**21
"""Numbers of jobs within a job lie that far below its own at most."""


class Mark:
    """Both marks of one job."""

    __slots__ = ("environ", "number")

    def __init__(self, job_folder: Path, number: int | None) -> None:
        self.environ = f"{VARIABLE}={job_folder}".encode()  # attempt ids may repeat in copied state
        self.number = number

    @classmethod
    def of(cls, files: JobFiles) -> Mark:
        """As the job's supervisor has recorded it."""
        number = (json_files.read(files.supervisor) or {}).get("mark")
        return cls(files.folder, number if isinstance(number, int) else None)

    def is_of(self, pid: int) -> bool:
        """Whether a process has one of the marks."""
        number = _number(pid) if self.number is not None else None
        if number is not None and self.number is not None and self.number - _SPAN < number <= self.number:
            return True
        return self.environ in _environ(pid)


def take_on(job_folder: Path) -> int | None:
    """Marks this process, and all that it will start: the number, None where the system does not take it."""
    digest = int.from_bytes(hashlib.sha256(os.fsencode(job_folder)).digest()[:7], "big")
    _, highest = resource.getrlimit(_RLIMIT_LOCKS)
    number = _LOWEST + digest
    if highest != resource.RLIM_INFINITY and number > highest:
        number = highest - 1 - digest % (_SPAN // 8)
    return number if _set(number) else None


def marked(mark: Mark) -> list[int]:
    """Running processes with the mark. This process and those above it are left out."""
    own = set(_line_of(os.getpid()))
    pids = (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())
    return [pid for pid in pids if pid not in own and mark.is_of(pid) and _is_running(pid)]


def main(number: str, *argv: str) -> None:
    """Becomes argv, with a job's number: what is started beside a job ends with it."""
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
