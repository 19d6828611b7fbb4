"""A fault of the state store is reported in a sentence with the remedy."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from wsdash.backend.store import database
from wsdash.backend.store.errors import DatabaseError, explain, lock_holders
from wsdash.backend.store.reader import Reader
from wsdash.paths import Paths


def names_by_reader(paths: Paths) -> list[str]:
    reader = Reader(paths)
    try:
        return [row.workspace.name for row in reader.workspaces(0.0)]
    finally:
        reader.close()


HOLDS_THE_LOCK = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(600)
"""


def test_who_locks_the_store_is_named(store_with_a_workspace: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    file = store_with_a_workspace.database
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS_THE_LOCK, str(file)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
        assert lock_holders(file) == [holder.pid]
        impatient = sqlite3.connect(file, timeout=0)
        with pytest.raises(sqlite3.OperationalError) as failed:
            impatient.execute("BEGIN IMMEDIATE")
        output = explain(failed.value, file)
        assert f"process {holder.pid}" in output and "state.db" in output and f"kill {holder.pid}" in output
        holder.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, holder.pid, os.WSTOPPED)
        assert f"kill -CONT {holder.pid}" in explain(failed.value, file)
        impatient.close()
    finally:
        holder.kill()
        holder.communicate()


def test_a_folder_in_the_place_of_the_store_is_named(paths: Paths) -> None:
    paths.database.mkdir()
    with pytest.raises(DatabaseError, match=r"state\.db is not a file.*Move it away"):
        database.prepare(paths)
    with pytest.raises(DatabaseError, match="not a file"):
        names_by_reader(paths)


CREATES_WHERE_FILES_CANNOT_GROW = """
import resource
from wsdash.backend.store import database, errors
from wsdash.paths import Paths
paths = Paths.from_environment()
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    database.prepare(paths)
except errors.DatabaseError as error:
    print(error)
"""


def test_a_first_start_where_files_cannot_grow_says_so(paths: Paths) -> None:
    output = subprocess.run(
        [sys.executable, "-c", CREATES_WHERE_FILES_CANNOT_GROW], capture_output=True, text=True, check=True
    ).stdout
    assert "cannot grow" in output and "8192 bytes" in output and "ulimit" in output
    assert names_by_reader(paths) == []
