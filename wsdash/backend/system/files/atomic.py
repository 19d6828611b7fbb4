"""Replaces files atomically. Used by the supervisor: standard library only."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

_DRAFT = re.compile(r"\..+\.w[0-9a-f]{7}")
ABANDONED_S = 600.0
"""A draft this many seconds older than a new one was left by a process that died."""


def write(file: Path, data: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
    """Replace or create a file: a reader sees the old content or the new one, and a failure leaves the old one.

    The draft is next to it as `.NAME.wRANDOM`; drafts of dead processes are removed. With `durable` the new content
    survives a power cut after the return. A symbolic link is replaced, not followed. Blocks. Raises OSError.
    """
    # Not tempfile, which loads more modules than the supervisor does.
    draft = file.with_name(f".{file.name}.w{os.urandom(4).hex()[1:]}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            started = os.fstat(handle).st_mtime
            while data:
                data = data[os.write(handle, data) :]
            os.fchmod(handle, mode)
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)
        draft.replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    if durable:
        sync_folder(file.parent)
    _remove_abandoned(file, started - ABANDONED_S)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, if the file system supports it. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def abandoned(folder: Path, before: float) -> Iterator[Path]:
    """Return the drafts in a folder that were written before a time, in seconds since the epoch."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _DRAFT.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        yield Path(entry.path)


def _remove_abandoned(file: Path, before: float) -> None:
    for draft in abandoned(file.parent, before):
        if draft.name.rpartition(".")[0] == f".{file.name}":
            with contextlib.suppress(OSError):
                draft.unlink()
