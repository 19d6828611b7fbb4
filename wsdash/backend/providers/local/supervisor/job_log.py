"""The log of a job: its output unchanged, up to a maximum, also on a disk that is full at times."""

from __future__ import annotations

import os
from pathlib import Path

from wsdash.backend.job.log_text import last_words

CAP = 256 * 1024 * 1024
_TAIL = 16384
_MESSAGE_LINES = 5


class JobLog:
    """Appends to the log. `size` is its length in bytes; bytes that cannot be written are counted."""

    def __init__(self, path: Path, cap: int = CAP) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.size = os.fstat(self._descriptor).st_size
        self._cap = cap
        self._capped = False
        self.dropped = 0
        self._tail = b""

    def write(self, data: bytes) -> None:
        """Append data. Never raises for a disk that is full or failing."""
        self._tail = (self._tail + data[-_TAIL:])[-_TAIL:]
        if self._capped:
            return
        if self.size + len(data) > self._cap:
            data = data[: max(0, self._cap - self.size)]
            data += f"\nwsdash: the log has reached {self._cap} bytes; the rest is dropped.\n".encode()
            self._capped = True
        if self.dropped:
            lost = f"\nwsdash: {self.dropped} bytes were lost here: no space on the disk.\n".encode()
            if self._append(lost) < len(lost):
                self.dropped += len(data)
                return
            self.dropped = 0
        self.dropped += len(data) - self._append(data)

    def note(self, text: str) -> None:
        """Append a line of wsdash's own."""
        self.write(f"wsdash: {text}\n".encode())

    def begin_stage(self) -> None:
        """Begin the output of another stage; `last_words` then uses only this stage's."""
        self._tail = b""

    def last_words(self, *, own_error: bool) -> str:
        """Return the last lines of the stage, as the reason for the end of the job. Untrusted text."""
        return last_words(self._tail, own_error=own_error, most=_MESSAGE_LINES)

    def close(self) -> None:
        """Close the log's file."""
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
