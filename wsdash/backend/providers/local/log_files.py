"""The files of a local job's log, read as one: `supervisor/job_log.py` writes them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

CUT = b"\nwsdash: output was removed here, because the log has reached its size limit.\n"
"""Stands between the beginning and the end of a log that has lost what was between them."""


class LogFiles:
    """The files of one log, for readers. A log that is cut while it is read becomes shorter: then it is another one."""

    def __init__(self, path: Path) -> None:
        self.beginning = path
        self.older = path.with_name(f"{path.name}.1")
        self.newer = path.with_name(f"{path.name}.2")
        self.cut = path.with_name(f"{path.name}.cut")

    @property
    def size(self) -> int:
        """The length of the whole, in bytes."""
        return sum(size for _, size in self._parts())

    def read(self, offset: int, limit: int) -> bytes:
        """Return up to `limit` bytes from `offset` on. Blocks."""
        found = b""
        for part, size in self._parts():
            if offset < size and len(found) < limit:
                found += _read(part, offset, min(limit - len(found), size - offset))
                offset = size
            offset -= size
        return found

    def _parts(self) -> list[tuple[Path | bytes, int]]:
        parts: list[tuple[Path | bytes, int]] = [(self.beginning, _size(self.beginning))]
        if self.cut.exists():
            parts.append((CUT, len(CUT)))
        return [*parts, *((file, _size(file)) for file in (self.older, self.newer))]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _read(part: Path | bytes, offset: int, limit: int) -> bytes:
    if isinstance(part, bytes):
        return part[offset : offset + limit]
    with suppress(OSError), part.open("rb") as file:
        return os.pread(file.fileno(), limit, offset)
    return b""
