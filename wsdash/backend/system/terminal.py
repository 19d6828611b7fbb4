"""Runs a program on the user's terminal, and ends it when the terminal is closed.

The kernel sends SIGHUP to the leader of a terminal's session only, and to the foreground group when the leader
ends (`__tty_hangup` and `disassociate_ctty` of drivers/tty/tty_jobctrl.c). A leader that waits for the program has to
pass it on itself, and from then on cannot ask which group was in the foreground: tcgetpgrp(3) gives EIO.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from wsdash.backend.system.processes import read_file

LOOK_S = 0.5
"""The interval in which the terminal is asked for its foreground group: one system call."""
GRACE_S = 2.0
"""The time between SIGHUP and SIGKILL."""
HUNG_UP = 128 + signal.SIGHUP
_STEP_S = 0.05


@dataclass(frozen=True, slots=True)
class _Process:
    """A process of this session. `start` is in clock ticks since boot; with the pid it is unique."""

    pid: int
    start: int
    parent: int = field(compare=False)
    group: int = field(compare=False)


class TerminalProgram:
    """A program on the terminal of this process. `wait` returns when it ends, or after the terminal is closed."""

    def __init__(self, process: asyncio.subprocess.Process, terminal: int | None) -> None:
        self._process = process
        self._terminal = terminal
        self._foreground = 0
        self._looked = 0.0
        self._asked = asyncio.Event()
        self.is_terminal_gone = False

    @classmethod
    async def start(cls, argv: Sequence[str], env: Mapping[str, str], cwd: str | None) -> TerminalProgram:
        """Start it. Raises `OSError`."""
        terminal = next((number for number in range(3) if os.isatty(number)), None)
        process = await asyncio.create_subprocess_exec(*argv, env=dict(env), cwd=cwd)
        return cls(process, terminal)

    def hang_up(self) -> None:
        """End it as a closed terminal does, with its whole foreground group. It may take `GRACE_S`."""
        self._asked.set()

    async def wait(self) -> int:
        """Return its exit code, or `HUNG_UP` if it ended because the terminal was closed or `hang_up` was called."""
        waits = [asyncio.create_task(self._process.wait()), asyncio.create_task(self._asked.wait())]
        try:
            done: set[asyncio.Task[object]] = set()
            while self._look() and not done:
                done, _ = await asyncio.wait(waits, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            if self._process.returncode is not None and not self.is_terminal_gone:
                return _exit_code(self._process.returncode)
            await self._end()
            return HUNG_UP
        finally:
            for wait in waits:
                wait.cancel()

    def _look(self) -> bool:
        """Return whether the terminal is still open; remember its foreground group for the time after it is closed."""
        if self._terminal is None:
            return True
        try:
            self._foreground = os.tcgetpgrp(self._terminal)
        except OSError:
            self.is_terminal_gone = True
            return False
        self._looked = time.clock_gettime(time.CLOCK_BOOTTIME)
        return True

    async def _end(self) -> None:
        """Send SIGHUP to the program and its foreground, and SIGKILL to those that remain after `GRACE_S`."""
        ended = self._members()
        _signal(ended, signal.SIGHUP)
        _signal(ended, signal.SIGCONT)  # a stopped process could not end
        end = time.monotonic() + GRACE_S
        while left := (ended & _session()) | self._members():
            if time.monotonic() > end:
                _signal(left, signal.SIGKILL)
                break
            await asyncio.sleep(_STEP_S)
        await self._process.wait()

    def _members(self) -> set[_Process]:
        """Return the program and its foreground processes that still run.

        A group that began after the last look counts, because it may have been in the foreground.
        Background jobs of a shell are the shell's own to end, as nohup(1) and `disown` expect.
        """
        session = _session()
        own, since = os.getpgrp(), int(self._looked * os.sysconf("SC_CLK_TCK"))
        below = _descendants(session, self._process.pid)
        return {
            one
            for one in session
            if one.pid == self._process.pid
            or (one.group == self._foreground != own)
            or (one.pid in below and (one.group == own or one.start >= since))
        }


def _exit_code(code: int) -> int:
    """Return the exit code as a shell gives it: 128 and the number of the signal that ended the process."""
    return code if code >= 0 else 128 - code


def _session() -> set[_Process]:
    """Return the processes of this session that have not ended; from fields 3 to 6 and 22 of proc_pid_stat(5)."""
    return set(_of_session(str(os.getsid(0)).encode()))


def _of_session(session: bytes) -> Iterator[_Process]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            fields = read_file(f"{folder}/stat", 4096).rpartition(b")")[2].split()
            if fields[3] == session and fields[0] not in (b"Z", b"X"):
                yield _Process(int(folder.name), int(fields[19]), int(fields[1]), int(fields[2]))


def _descendants(session: set[_Process], pid: int) -> set[int]:
    found, added = set[int](), {pid}
    while added:
        found |= added
        added = {one.pid for one in session if one.parent in added} - found
    return found - {pid}


def _signal(processes: set[_Process], number: int) -> None:
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)
