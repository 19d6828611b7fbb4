"""The real dashboard on a terminal that can be read: keys go in, what a person would see comes out."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pyte

from tests.waiting import until_sync

SYNC_QUESTION, SYNC_ANSWER = b"\x1b[?2026$p", b"\x1b[?2026;2$y"


class Dashboard:
    """`wsdash` at 80x24 in the folder `cwd`. Kill it with `close` in the end."""

    def __init__(self, cwd: Path, *, columns: int = 80, lines: int = 24) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execv(sys.executable, [sys.executable, "-m", "wsdash"])
        self.resize(columns, lines)

    def resize(self, columns: int, lines: int) -> None:
        self.screen.resize(lines, columns)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def read(self) -> None:
        """Take in what has been written so far."""
        while select.select([self._fd], [], [], 0)[0]:
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                return
            if not data:
                return
            if SYNC_QUESTION in data:
                os.write(self._fd, SYNC_ANSWER)
            self._stream.feed(data)

    def sees(self, *texts: str, timeout: float = 30.0) -> None:
        """Wait until all the texts stand on the screen."""
        self.waits(lambda: all(text in self.text for text in texts), f"{texts} on the screen", timeout)

    def waits(self, condition: Callable[[], bool], what: str, timeout: float = 30.0) -> None:
        def is_so() -> bool:
            self.read()
            return condition()

        try:
            until_sync(is_so, timeout, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text}") from None

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def ends(self) -> int:
        """Wait for the end of the program; its exit code, or minus the signal that killed it."""
        status: list[int] = []

        def has_ended() -> bool:
            self.read()
            pid, code = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                status.append(code)
            return bool(pid)

        until_sync(has_ended, 30.0, "the dashboard to end")
        self.pid = 0
        return os.waitstatus_to_exitcode(status[0])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.pid = 0

    def close(self) -> None:
        if self.pid:
            self.kill()
        os.close(self._fd)
