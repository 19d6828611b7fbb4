"""The log of a job: bytes as the job wrote them, up to a cap, also on a disk that is full at times."""

from __future__ import annotations

import os
from pathlib import Path

CAP = 256 * 1024 * 1024
_TAIL = 4096
_MESSAGE_LINES = 5
_MESSAGE_LENGTH = 1000


class JobLog:
    """Appends to the log. `size` is its length in bytes; what cannot be written is counted and said later."""

    def __init__(self, path: Path, cap: int = CAP) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.size = os.fstat(self._descriptor).st_size
        self._cap = cap
        self._capped = False
        self.dropped = 0
        self._tail = b""

    def write(self, data: bytes) -> None:
        """Never raises for a disk that is full or failing."""
        self._tail = (self._tail + data[-_TAIL:])[-_TAIL:]
        if self._capped:
            return
        if self.size + len(data) > self._cap:
            data = data[: max(0, self._cap - self.size)]
            data += f"\nwsdash: the log has reached {self._cap} bytes; the rest is dropped.\n".encode()
            self._capped = True
        if self.dropped:
            lost = f"\nwsdash: {self.dropped} bytes were lost here: no room on the disk.\n".encode()
            if self._append(lost) < len(lost):
                self.dropped += len(data)
                return
            self.dropped = 0
        self.dropped += len(data) - self._append(data)

    def note(self, text: str) -> None:
        """A line of wsdash's own."""
        self.write(f"wsdash: {text}\n".encode())

    def last_lines(self) -> str:
        """The last lines, for a reader who asks why the job ended. Untrusted text."""
        lines = [line.strip() for line in self._tail.decode("utf-8", "replace").splitlines()]
        return "\n".join([line for line in lines if line][-_MESSAGE_LINES:])[-_MESSAGE_LENGTH:]

    def close(self) -> None:
        os.close(self._descriptor)

    def _append(self, data: bytes) -> int:
        written = 0
        try:
            while written < len(data):
                count = os.write(self._descriptor, data[written:])
                written += count
                self.size += count
        except OSError:
            return written
        return written
