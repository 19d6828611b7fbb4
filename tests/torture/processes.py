"""The processes of one world, found in /proc: whose environment names its folder, or that are wsdash's there."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ESCAPED = "98765"
"""Begins the number of seconds for which a process that has cleared its environment sleeps; a slot's number ends it."""

_OWNERS: dict[Path, str] = {}


@dataclass(frozen=True, slots=True)
class Process:
    """`role` is what it is to wsdash; `job` and `workspace` are the ids of what it belongs to."""

    pid: int
    ticks: int
    role: str
    job: str = ""
    workspace: str = ""
    argv: tuple[str, ...] = ()

    def is_alive(self) -> bool:
        return _ticks(self.pid) == self.ticks

    def signal(self, number: int) -> bool:
        """Whether there was such a process. Its start time is looked at just before, for pids are used again."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            if not self.is_alive():
                return False
            signal.pidfd_send_signal(handle, number)
        except OSError:
            return False
        finally:
            os.close(handle)
        return True


def processes_of(folder: Path) -> list[Process]:
    """Every live process of the world; this one and those above it are none."""
    found = []
    spared = {os.getpid(), os.getppid()}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) not in spared:
            process = _look(int(entry.name), os.fsencode(folder))
            if process is not None:
                found.append(process)
    return found


def jobs_of(processes: Iterable[Process]) -> dict[str, set[str]]:
    """The jobs with a live process, by the id of their workspace."""
    found: dict[str, set[str]] = {}
    for process in processes:
        if process.job:
            found.setdefault(process.workspace, set()).add(process.job)
    return found


def _look(pid: int, folder: bytes) -> Process | None:
    ticks = _ticks(pid)
    if ticks is None:
        return None
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    argv = tuple(os.fsdecode(word) for word in arguments.split(b"\0"))[:-1]
    if argv[:1] == ("sleep",) and argv[-1].startswith(ESCAPED):
        slot = argv[-1].removeprefix(ESCAPED).partition(".")
        return (
            Process(pid, ticks, "escaped", workspace=slot[2], argv=argv) if _is_of(slot[0], folder) else None
        )
    role = _role(argv)
    # Somebody who looks at the world's files with a program of his own is no part of it.
    if folder not in environment and (folder not in arguments or role not in ("supervisor", "relay")):
        return None
    values = dict(os.fsdecode(word).split("=", 1) for word in environment.split(b"\0") if b"=" in word)
    if "WSDASH_JOB" in values:
        job = Path(values["WSDASH_JOB"])
        return Process(pid, ticks, "job", job.name, _workspace_of(job), argv)
    if "CI_JOB_ID" in values:
        workspace = values.get("CI_COMMIT_REF_NAME", "").removeprefix("wsdash/")
        return Process(pid, ticks, "job", values["CI_JOB_ID"], workspace, argv)
    return Process(pid, ticks, role, argv=argv)


def _workspace_of(job: Path) -> str:
    """By the local provider's own record, which goes before the job's last process where a delete is in a hurry."""
    if job not in _OWNERS:
        try:
            _OWNERS[job] = str(json.loads((job / "spec.json").read_text())["workspace"])
        except (OSError, ValueError, KeyError):
            return f"of {job.name}"
    return _OWNERS[job]


def world_number(folder: Path) -> str:
    """A few digits that tell the worlds' escaped processes apart."""
    return f"{sum(os.fsencode(folder)) * 7919 % 9973:04}"


def _is_of(number: str, folder: bytes) -> bool:
    return number == world_number(Path(os.fsdecode(folder)))


def _role(argv: tuple[str, ...]) -> str:
    line = " ".join(argv)
    if "providers.local.supervisor.main" in line:
        return "supervisor"
    if "access.relay" in line:
        return "relay"
    if "tests.gitlab_runner" in line:
        return "runner"
    for number, word in enumerate(argv):
        if word == "wsdash" or word.endswith("/wsdash"):
            verb = argv[number + 1] if len(argv) > number + 1 else "dashboard"
            return verb if verb in ("daemon", "dashboard") else "command"
    if Path(argv[0] if argv else "").name.startswith(("ssh", "sshd")):
        return "line"
    return "helper"


def _ticks(pid: int) -> int | None:
    """The start time of a process that has not ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
