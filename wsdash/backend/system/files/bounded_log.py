"""Bounded logs of the relay and the daemon: their size is limited, even if clients cause many records.

The previous part is in `NAME.log.1`; older lines are removed.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from logging.handlers import WatchedFileHandler
from pathlib import Path

MOST_BYTES = 1_000_000
SAME_S = 60.0
"""The shortest time between two identical lines, in seconds."""
KEPT_S = 600.0
"""Time for which the number of suppressed lines is remembered, in seconds."""
MOST_A_MINUTE = 300
FORMAT = "%(asctime)s %(levelname)s %(message)s"
LONGEST = 4_000
"""Most characters of a record, for example of a traceback."""


_STDERR = 2


class BoundedLog(WatchedFileHandler):
    """A handler for a log of bounded size. Another process may write to the file and rename it. Write errors
    are ignored.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(str(file), encoding="utf-8", errors="backslashreplace")
        self._file = file
        self._clock = clock
        self._minute = 0
        self._in_this_minute = 0
        self._logged: dict[str, tuple[float, int]] = {}

    def handle(self, record: logging.LogRecord) -> bool:
        """Drop records that repeat within a minute, and those over the limit per minute."""
        text = record.getMessage()
        now = self._clock()
        if (minute := int(now // 60)) != self._minute:
            self._minute, self._in_this_minute = minute, 0
            self._logged = {text: logged for text, logged in self._logged.items() if now - logged[0] < KEPT_S}
        at, times = self._logged.get(text, (-SAME_S, 0))
        if now - at < SAME_S or self._in_this_minute >= MOST_A_MINUTE:
            if text in self._logged:
                self._logged[text] = (at, times + 1)
            return False
        self._logged[text] = (now, 0)
        self._in_this_minute += 1
        if times:
            record.msg, record.args = f"{text} ({times} more times before)", ()
        return bool(super().handle(record))

    def format(self, record: logging.LogRecord) -> str:
        """Format the record; cut the middle of a text that is longer than `LONGEST` characters."""
        text = super().format(record)
        return text if len(text) <= LONGEST else f"{text[:200]} ... {text[-LONGEST + 200 :]}"

    def emit(self, record: logging.LogRecord) -> None:
        """Rotate the file if it is full, then write the record. Ignores OSError."""
        with suppress(OSError):
            self._turn()
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignore the error: a full disk must not end the process, and the record is not kept."""
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError):
                stream.close()

    def _turn(self) -> None:
        if self._file.stat().st_size < MOST_BYTES:
            return
        self._file.replace(self._file.with_suffix(".log.1"))
        self.reopenIfNeeded()
        if self.stream is not None:
            os.dup2(self.stream.fileno(), _STDERR)  # Python's own output at a crash


def log_to(file: Path) -> None:
    """Send all of this process's log records to this file."""
    logging.basicConfig(level=logging.INFO, format=FORMAT, handlers=[BoundedLog(file)], force=True)
