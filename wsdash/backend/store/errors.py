"""Turns errors of SQLite into sentences for the user: the failure, the file, the process that blocks it, the remedy."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from wsdash.backend.system.processes import read_file, stat_of
from wsdash.sanitize import one_line

BUSY_TIMEOUT_S = 10.0
_LONGEST_COMMAND = 80


class DatabaseError(Exception):
    """The state store cannot be used; the message names the failure, the file and the remedy."""


class NewerSchema(DatabaseError):
    """The file was written by a newer wsdash, so this one may only read it."""


class StateRemoved(DatabaseError):
    """The whole state folder was removed while this process used it."""


def is_full(error: sqlite3.Error) -> bool:
    """Whether the error means that the disk is full."""
    return _name(error) == "SQLITE_FULL"


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file no longer holds a state store: damaged, emptied, or of an older schema.

    `wsdash.backend.store.database.prepare` repairs it at the next opening.
    """
    if _name(error) in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
        return True
    # A statement that fitted the schema at the start, and no longer does.
    return _name(error) == "SQLITE_ERROR" and str(error).startswith(("no such table", "no such column"))


def explain(error: sqlite3.Error, path: Path) -> str:
    """Return the error as a sentence with the remedy."""
    name = _name(error)
    if is_full(error) or name == "SQLITE_IOERR_WRITE":
        return _no_room(path)
    if name in ("SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY", "SQLITE_READONLY_CANTINIT"):
        return (
            f"a process died while writing {path}; its last transaction must be rolled back before anything can "
            f"be read, but {path.name} cannot be written to (owner uid {_owner(path)}). "
            "Make the folder writable for you, or set WSDASH_HOME."
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return f"{path} cannot be written to (owner uid {_owner(path)}). Set WSDASH_HOME, or correct its permissions."
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"{path} was locked by {_who_locks(path)}"
    if is_damage(error):
        return f"{path} is damaged ({error}). `wsdash doctor` moves it aside and restores the newest backup."
    return f"{path}: {error}"


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", "") or ""


def _no_room(path: Path) -> str:
    import resource

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit != resource.RLIM_INFINITY:
        return (
            f"{path} cannot grow: the limit for files of this process is {limit} bytes. "
            "Raise it (`ulimit -f unlimited`), then try again. Running jobs continue meanwhile."
        )
    return f"no space is left for {path} (or no quota): free some, then try again. Running jobs continue meanwhile."


def _who_locks(path: Path) -> str:
    """Name the process that holds SQLite's lock on the file, and the remedy."""
    waited = f"for {BUSY_TIMEOUT_S:g} s"
    found = [pid for pid in lock_holders(path) if pid != os.getpid()]
    if not found:
        return f"another process {waited}. Try again."
    pid = found[0]
    state = (stat_of(pid) or ("", 0, 0))[0]
    who = f"process {pid} ({_command(pid)}) {waited}"
    if state in "Tt" and state:
        return f"{who}, which is stopped: `kill -CONT {pid}` resumes it; jobs are not affected."
    return f"{who}. Try again; if it hangs, end it (`kill {pid}`): jobs are not affected."


def lock_holders(path: Path, locks: str | None = None) -> list[int]:
    """Return the pids that hold a lock on the database file or on its write-ahead log's index, writers first.

    `locks` is the text of /proc/locks (proc(5)).
    """
    try:
        text = Path("/proc/locks").read_text() if locks is None else locks
    except OSError:
        return []
    inodes = set()
    for file in (path, path.with_name(f"{path.name}-shm")):
        try:
            inodes.add(str(file.stat().st_ino))
        except OSError:
            continue
    writers: list[int] = []
    readers: list[int] = []
    for line in text.splitlines():
        fields = line.split()
        # "1: POSIX  ADVISORY  WRITE 1234 fe:01:5678 1073741824 1073741824"; a waiting lock has "->" as its second
        # field.
        if len(fields) < 8 or fields[1] != "POSIX" or fields[5].rpartition(":")[2] not in inodes:
            continue
        if fields[4].isdecimal():
            (writers if fields[3] == "WRITE" else readers).append(int(fields[4]))
    return list(dict.fromkeys(writers + readers))


def _command(pid: int) -> str:
    try:
        words = read_file(f"/proc/{pid}/cmdline").split(b"\0")
    except OSError:
        return "not visible from here"
    text = one_line(b" ".join(words).decode("utf-8", "replace").strip())
    return text if len(text) <= _LONGEST_COMMAND else f"{text[: _LONGEST_COMMAND - 3]}..."


def _owner(path: Path) -> int | str:
    try:
        return path.stat().st_uid
    except OSError:
        return "unknown"
