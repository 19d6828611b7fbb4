"""A terminal for a program under test: it counts what is written and knows when nothing more comes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pyte

QUIET_S = 0.35
DEADLINE_S = 30.0
SYNC_QUESTION, SYNC_ANSWER = b"\x1b[?2026$p", b"\x1b[?2026;2$y"


class Terminal:
    """Runs `python -m MODULE ARGUMENTS` in a pseudo-terminal, as the last arguments of `under` if that is given."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        width: int = 120,
        height: int = 40,
        env: dict[str, str],
        under: Sequence[str] = (),
    ) -> None:
        argv = [*under, sys.executable, "-m", module, *arguments]
        self.written = bytearray()
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            # Not execv: a library may have put COLUMNS and LINES into the C environment behind our back.
            os.execve(shutil.which(argv[0]) or argv[0], argv, {**os.environ, **env})
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def resize(self, width: int, height: int) -> None:
        self._screen.resize(height, width)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def read_until(self, text: str) -> None:
        """Read until this text has been written since the last `take`."""
        deadline = time.monotonic() + DEADLINE_S
        while text.encode() not in self.written:
            if time.monotonic() > deadline or not self._read(1.0):
                raise AssertionError(f"{text!r} did not come; got {bytes(self.written)[-2000:]!r}")

    @property
    def shown(self) -> str:
        """The text on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def wait_for(self, condition: Callable[[str], object], what: str) -> None:
        """Read until this holds for what stands on the screen."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition(self.shown):
            if time.monotonic() > deadline or not self._read(1.0):
                raise AssertionError(f"{what} did not come; the screen is\n{self.shown}")

    def settle(self) -> None:
        """Read until nothing has come for a while."""
        deadline = time.monotonic() + DEADLINE_S
        while self._has_more(QUIET_S):
            if time.monotonic() > deadline or not self._read(0):
                return

    def take(self) -> bytes:
        """The bytes written since the last `take`."""
        taken = bytes(self.written)
        self.written.clear()
        return taken

    def hang_up(self) -> None:
        """Close the terminal, as a lost SSH connection does."""
        os.close(self._fd)
        self._fd = -1

    def wait(self) -> int:
        """Read to the end of the program; its exit code, or minus the signal that killed it."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            if self._fd >= 0:
                self._read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.settle() if self._fd >= 0 else None
                return os.waitstatus_to_exitcode(status)
            if self._fd < 0:
                select.select([], [], [], 0.05)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError(f"the program did not end; got {bytes(self.written)[-2000:]!r}")

    def close(self) -> None:
        """End the program if it still runs."""
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        if self._fd >= 0:
            os.close(self._fd)

    def _has_more(self, seconds: float) -> bool:
        return bool(select.select([self._fd], [], [], seconds)[0])

    def _read(self, seconds: float) -> bool:
        """Whether the program's end of the terminal is still open."""
        if not self._has_more(seconds):
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            return False
        self.written += data
        with suppress(Exception):  # it does not know every sequence
            self._stream.feed(data)
        if SYNC_QUESTION in data:
            os.write(self._fd, SYNC_ANSWER)
        return bool(data)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The program's environment, besides the test's own."""
    return {
        "WSDASH_HOME": str(folder),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "PYTHONPATH": os.pathsep.join(sys.path),
        **more,
    }
