"""Detects by one `stat` whether a file was written to or replaced: asked often, before SQLite is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

RECENT_NS = 1_000_000_000
"""A file's time is coarse: for a second after a write another one may have gone unnoticed."""


FileIdentity = tuple[int, int]


def file_identity(path: Path) -> FileIdentity | None:
    """Device and inode of the file at this path, None where there is none.

    A file that a process has open keeps its inode, so another identity at its path is another file.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - half the price of Path.stat, which counts here
    except OSError:
        return None
    return status.st_dev, status.st_ino


def log_identity(database: Path) -> FileIdentity | None:
    """Return the identity of the write-ahead log beside an open database, None where there is none."""
    return file_identity(database.with_name(f"{database.name}-wal"))


class FileWatch:
    """Watches the state store's file and its write-ahead log."""

    def __init__(self, path: Path, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._files = (path, path.with_name(f"{path.name}-wal"))
        self._clock_ns = clock_ns
        self._seen: tuple[tuple[int, int, int], ...] = ()

    def may_have_changed(self) -> bool:
        """False only if nobody has written since the last call."""
        found = tuple(map(_mark, self._files))
        is_recent = abs(self._clock_ns() - max(written for written, _, _ in found)) < RECENT_NS
        changed = found != self._seen or is_recent
        self._seen = found
        return changed


def _mark(file: Path) -> tuple[int, int, int]:
    try:
        status = os.stat(file)  # noqa: PTH116
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino
