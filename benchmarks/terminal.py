"""A program in a pseudo-terminal, with every byte that it writes and when.

The terminal answers the query for synchronized output, as modern terminals do, so that the program
behaves as it does there.
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

QUERY, ANSWER = b"\x1b[?2026$p", b"\x1b[?2026;2$y"
QUIET_S = 0.25


class Terminal:
    """Start `argv` on a terminal of the given size. Use as a context manager; the program is killed at the end."""

    def __init__(
        self, argv: Sequence[str], env: dict[str, str], *, columns: int = 120, lines: int = 40
    ) -> None:
        self.chunks: list[tuple[float, bytes]] = []
        self.started = time.perf_counter()
        self._ended = False
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            os.execvpe(argv[0], list(argv), {**env, "TERM": "xterm-256color", "COLORTERM": "truecolor"})
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.has_ended():
            self.signal(signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self._thread.join(2)
        os.close(self._terminal)

    def has_ended(self) -> bool:
        if not self._ended:
            self._ended = os.waitpid(self.pid, os.WNOHANG)[0] != 0
        return self._ended

    @property
    def output(self) -> bytes:
        return b"".join(data for _, data in self.chunks)

    def signal(self, number: int) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return

    def press(self, keys: bytes) -> None:
        os.write(self._terminal, keys)

    def seconds_to(self, marker: bytes, timeout_s: float = 30.0) -> float:
        """From the start of the process to the chunk in which the marker was complete."""
        deadline = self.started + timeout_s
        while time.perf_counter() < deadline:
            text = b""
            for at, data in list(self.chunks):
                text += data
                if marker in text:
                    return at - self.started
            time.sleep(0.001)
        raise TimeoutError(
            f"{marker!r} did not appear in {timeout_s} s; the last bytes: {self.output[-500:]!r}"
        )

    def settle(self, quiet_s: float = QUIET_S) -> int:
        """Wait until nothing was written for a while, and return how many bytes there have been."""
        while True:
            last = self.chunks[-1][0] if self.chunks else self.started
            left = last + quiet_s - time.perf_counter()
            if left <= 0:
                return len(self.output)
            time.sleep(left)

    def bytes_for(self, act: Callable[[], object], wait_s: float = 0.3) -> int:
        """Bytes written because of the act."""
        before = self.settle()
        act()
        time.sleep(wait_s)
        return self.settle() - before

    def cpu_s(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        """Resident memory of the process."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise ValueError("no VmRSS")

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._terminal, 65536)
            except OSError:
                return
            if not data:
                return
            self.chunks.append((time.perf_counter(), data))
            if QUERY in data:
                os.write(self._terminal, ANSWER)
