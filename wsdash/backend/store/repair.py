"""Repairs a damaged, emptied or missing state store: moves it aside and restores the newest good backup.

The process may die after any step: `repair` at the next start finishes the work. The file is replaced by one
rename, so no other process ever sees half of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wsdash.backend.store.errors import BUSY_TIMEOUT_S, DatabaseError, StateRemoved, is_damage
from wsdash.backend.system.files.file_watch import FileIdentity, log_identity
from wsdash.paths import Paths

BACKUPS_KEPT = 24
_REPLACING_S = 1.0
_SQLITE_SUFFIXES = ("-journal", "-wal", "-shm")
"""Suffixes of the files that SQLite keeps next to the database."""


def connect_for_reading(path: Path) -> sqlite3.Connection:
    """Open a connection that changes nothing except rolling back or recovering the transaction of a dead
    process.

    SQLite does that at the first read of a process that may write (https://sqlite.org/lockingv3.html, "hot
    journals"), so the file is opened for writing if that is allowed, and each statement that would write is
    refused.
    """
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


def repair(paths: Paths) -> list[str]:
    """Ensure that a sound file exists, even if empty; return the repairs as sentences.

    Raises DatabaseError, OSError, sqlite3.Error.

    A file that never existed is created; a damaged file, or one that is missing although there are backups, is
    restored.
    """
    if _damage_of(paths) is None:
        return []
    with _alone(paths):
        damage = _damage_of(paths)  # another process may have repaired it meanwhile
        return [] if damage is None else _restore(paths, damage)


def await_file(paths: Paths) -> None:
    """Wait briefly for a file that another process is replacing in two steps, or removing with its whole folder.

    For a process that had it open: it must not create a file in a folder that is being removed. Raises
    `StateRemoved`.
    """
    give_up = time.monotonic() + _REPLACING_S
    while not paths.database.exists():
        check_not_removed(paths)
        if time.monotonic() > give_up:
            return
        time.sleep(0.02)


def check_not_removed(paths: Paths) -> None:
    """Raise `StateRemoved` if the state folder, which existed before, was removed."""
    if not paths.state.is_dir():
        raise StateRemoved(
            f"{paths.state} was removed. Move it back if it is elsewhere, or start wsdash again for an empty one."
        )


def part_from_log(path: Path, log: FileIdentity | None) -> None:
    """Remove the write-ahead log of a database that another file has replaced, before the new file is opened.

    `log` is the identity of the old file's log: SQLite uses any log next to a database as its own
    (https://sqlite.org/howtocorrupt.html, section 1.4). Raises OSError.
    """
    if log is not None and log_identity(path) == log:
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)


def backups(paths: Paths) -> list[Path]:
    """Return the backups, newest first."""
    return sorted(paths.backups.glob("state-*.db"), key=lambda file: file.stat().st_mtime, reverse=True)


def _damage_of(paths: Paths) -> str | None:
    path = paths.database
    if not path.exists():
        if backups(paths):
            return "it was gone"
        path.touch(mode=0o600)
    if not path.is_file():
        raise DatabaseError(
            f"{path} is not a file, but must be the state store. Move it away, then try again."
        )
    damage = _check(path)
    # Only now, because the rollback of a dead process's transaction may have emptied the file.
    if damage is None and path.stat().st_size == 0 and backups(paths):
        return "it was empty"
    return damage


def _check(path: Path) -> str | None:
    """Return the damage of a database as text; None if it is sound."""
    try:
        connection = connect_for_reading(path)
        try:
            answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return str(error)
        raise
    return None if answer == "ok" else answer


def _restore(paths: Paths, damage: str) -> list[str]:
    path = paths.database
    found = next((backup for backup in backups(paths) if _check(backup) is None), None)
    new = path.with_suffix(".restoring")
    for suffix in ("", *_SQLITE_SUFFIXES):
        Path(f"{new}{suffix}").unlink(missing_ok=True)
    new.touch(mode=0o600)
    if found is not None:
        copy_database(found, new)
    notices = []
    if path.exists():
        damaged = _rename_damaged(path)
        for suffix in _SQLITE_SUFFIXES:
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{suffix}").rename(f"{damaged}{suffix}")
        notices.append(f"The state store was damaged ({damage}); it was moved to {damaged}.")
    else:
        for suffix in _SQLITE_SUFFIXES:
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        notices.append(f"The state store was lost ({path} did not exist).")
    new.rename(path)
    if found is not None:
        notices.append(f"It was replaced by the backup {found.name}; jobs started since are adopted.")
    else:
        notices.append("There was no backup, so the new store is empty. Running jobs were not changed.")
    return notices


def _rename_damaged(path: Path) -> Path:
    """Link the damaged file under another name, so that the path always has a file."""
    number, damaged = 1, path.with_suffix(".damaged")
    while os.path.lexists(damaged):
        if damaged.samefile(path):  # a process died at this step
            return damaged
        number += 1
        damaged = path.with_name(f"{path.stem}.damaged-{number}")
    try:
        os.link(path, damaged)
    except OSError:  # a file system without hard links
        path.rename(damaged)
    return damaged


def copy_database(source: Path, target: Path) -> None:
    """Copy by SQLite's backup API into an empty target; the copy is on the disk when this returns."""
    reading = connect_for_reading(source)
    writing = sqlite3.connect(target)
    try:
        reading.backup(writing)
    finally:
        writing.close()
        reading.close()


@contextmanager
def _alone(paths: Paths) -> Iterator[None]:
    """Hold the lock for restoring. Raises DatabaseError if another process does not release it."""
    descriptor = os.open(paths.state / "restore.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        give_up = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise DatabaseError(
                        f"another process has been restoring {paths.database} for {BUSY_TIMEOUT_S:g} s. Try again."
                    ) from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)
