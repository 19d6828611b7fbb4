"""The SQLite file: opened safely, migrated by number, backed up, and repaired when damaged.

The settings follow https://sqlite.org/pragma.html, https://sqlite.org/wal.html and
https://sqlite.org/howtocorrupt.html. All functions here block; the event loop calls them only at the start,
before it has other work.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from wsdash.backend.store import repair
from wsdash.backend.store.errors import BUSY_TIMEOUT_S, DatabaseError, NewerSchema, explain
from wsdash.backend.store.repair import BACKUPS_KEPT, backups, connect_for_reading, copy_database
from wsdash.paths import NETWORK_FILE_SYSTEMS, Paths, file_system, write_private

APPLICATION_ID = 0x77736473  # "wsds"
BALLAST_SIZE = 1024 * 1024


def migrations() -> list[str]:
    """Return the numbered SQL files, in order; the first takes an empty file to version 1."""
    folder = Path(__file__).parent / "migrations"
    return [file.read_text() for file in sorted(folder.glob("[0-9]*.sql"))]


def wal_is_sound(version: tuple[int, int, int], file_system_type: str | None) -> bool:
    """Whether several writing processes may share a write-ahead log.

    Before SQLite 3.51.3 (3.50.7 and 3.44.6 in their branches) a checkpoint could miss pages if another
    process reset the log meanwhile: https://sqlite.org/wal.html#walresetbug. WAL also needs shared memory,
    which no network file system provides.
    """
    if file_system_type in NETWORK_FILE_SYSTEMS:
        return False
    fixed_in_branch = {(3, 50): 7, (3, 44): 6}
    fixed_at = fixed_in_branch.get(version[:2])
    return version >= (3, 51, 3) or (fixed_at is not None and version[2] >= fixed_at)


def journal_mode(path: Path) -> str:
    """Return `WAL` if SQLite and the file system are safe for it, else `TRUNCATE`."""
    return "WAL" if wal_is_sound(sqlite3.sqlite_version_info[:3], file_system(path)) else "TRUNCATE"


def settings(path: Path) -> list[str]:
    """The pragmas of every writing connection. A commit is on the disk before it is acknowledged.

    WAL, once set, stays with the file; the other journal modes are each connection's own.
    """
    return [
        f"journal_mode = {journal_mode(path)}",
        "synchronous = FULL",
        "foreign_keys = ON",
        "trusted_schema = OFF",
        "secure_delete = ON",  # not every build of SQLite does it by itself
    ]


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a connection in autocommit mode, so that each transaction begins explicitly."""
    if read_only:
        connection = connect_for_reading(path)
    else:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        for setting in settings(path):
            connection.execute(f"PRAGMA {setting}")
    connection.row_factory = sqlite3.Row
    return connection


def prepare(paths: Paths, *, makes_folder: bool = True) -> list[str]:
    """Make the file ready for use; return the repairs, as sentences for the user.

    A damaged file is moved aside and replaced by the newest good backup. Raises `NewerSchema` if the file can
    only be read, and `DatabaseError` if it is unusable.

    A process that had the store open does not create its folder again: it raises `StateRemoved` if the folder was
    removed,
    even just before.
    """
    path = paths.database
    if makes_folder:
        paths.prepare()
    try:
        notices = repair.repair(paths)
        connection = connect(path)
        try:
            _migrate(connection, paths)
            _lay_ballast(paths)
        finally:
            connection.close()
    except sqlite3.Error as error:
        repair.check_not_removed(paths)
        raise DatabaseError(explain(error, path)) from error
    except OSError as error:
        repair.check_not_removed(paths)
        raise DatabaseError(f"{error.filename or path}: {error.strerror}. Free disk space there.") from error
    return notices


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether the file has this version's schema. Raises `NewerSchema` for a later version's."""
    version = _version(connection)
    if version > len(migrations()):
        raise NewerSchema(
            f"the state store has schema {version}, and this wsdash knows {len(migrations())}: it can be "
            "read but not changed. Use the newer wsdash that wrote it."
        )
    return version == len(migrations())


def backup(paths: Paths, label: str) -> Path:
    """Copy the store with SQLite's backup API to `backups/`, and remove the oldest copies."""
    paths.backups.mkdir(mode=0o700, exist_ok=True)
    target = paths.backups / f"state-{label}.db"
    partial = target.with_suffix(".partial")
    for file in (partial, Path(f"{partial}-journal")):  # of a process that died
        file.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    copy_database(paths.database, partial)
    partial.replace(target)
    for old in backups(paths)[BACKUPS_KEPT:]:
        old.unlink(missing_ok=True)
    return target


def drop_ballast(paths: Paths) -> bool:
    """Free a megabyte on a full disk: SQLite needs space even to delete. Return False if it was freed before."""
    try:
        (paths.state / "ballast").unlink()
    except OSError:
        return False
    return True


def _lay_ballast(paths: Paths) -> None:
    """Reserve a megabyte for a full disk, if the disk has plenty of space now."""
    ballast = paths.state / "ballast"
    disk = os.statvfs(paths.state)
    if ballast.exists() or disk.f_bavail * disk.f_frsize <= 100 * BALLAST_SIZE:
        return
    try:
        write_private(ballast, b"\0" * BALLAST_SIZE)
    except OSError:  # a quota, or a limit of file sizes: the store works without the reserve
        ballast.unlink(missing_ok=True)


def _migrate(connection: sqlite3.Connection, paths: Paths) -> None:
    if is_current(connection):
        return
    before = _version(connection)
    if before > 0:
        backup(paths, f"schema-{before}")
    for number, script in enumerate(migrations(), start=1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _version(connection) < number:  # another process may have migrated it meanwhile
                for statement in _statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if (
                connection.in_transaction
            ):  # SQLite may have rolled it back itself; the first error is reported
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> list[str]:
    """Split the script into statements: `executescript` would commit the transaction around them."""
    statements, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements
