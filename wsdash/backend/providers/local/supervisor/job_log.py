"""The log of a job: its output unchanged, its beginning and its end, also on a disk that is full at times."""

from __future__ import annotations

import os
from pathlib import Path

from wsdash.backend.job.log_text import last_words
from wsdash.backend.providers.local.log_files import LogFiles

CAP = 256 * 1024 * 1024
_TAIL = 16384
_MESSAGE_LINES = 5


class JobLog:
    """Appends to the log. Bytes that cannot be written are counted.

    The file `log` has the first half of `cap` bytes: what a user looks for in a long log is how it began, and how it
    goes on. The rest is in two files of a quarter each, `log.1` and `log.2`: when the second one is full it becomes
    the first one. `LogFiles` reads them as one.
    """

    def __init__(self, path: Path, cap: int = CAP) -> None:
        self._path = path
        self._limits = (cap // 2, max(1, cap // 4))
        self._beginning = 0
        self._is_beginning = True
        self._open(path)
        self.dropped = 0
        self._tail = b""

    @property
    def size(self) -> int:
        """The length of what `LogFiles` reads, in bytes."""
        return self._beginning + self._written if self._is_beginning else LogFiles(self._path).size

    def write(self, data: bytes) -> None:
        """Append data. Never raises for a disk that is full or failing."""
        self._tail = (self._tail + data[-_TAIL:])[-_TAIL:]
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

    def _open(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._written = os.fstat(self._descriptor).st_size

    def _append(self, data: bytes) -> int:
        done = 0
        try:
            while done < len(data):
                room = self._limits[0 if self._is_beginning else 1] - self._written
                if room <= 0:
                    self._next_file()
                    continue
                count = os.write(self._descriptor, data[done : done + room])
                done += count
                self._written += count
        except OSError:
            return done
        return done

    def _next_file(self) -> None:
        files = LogFiles(self._path)
        if self._is_beginning:
            self._beginning = self._written
        else:
            if files.older.exists():
                files.cut.touch()
            files.newer.replace(files.older)
        os.close(self._descriptor)
        self._is_beginning = False
        self._open(files.newer)
