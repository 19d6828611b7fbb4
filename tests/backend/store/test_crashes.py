"""A process that dies while it writes leaves a store that every way of opening it heals."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wsdash.backend.service import Service
from wsdash.backend.store import database
from wsdash.backend.store.errors import explain
from wsdash.backend.store.reader import Reader
from wsdash.backend.store.store import Store
from wsdash.paths import Paths

KILLED_AMID_A_TRANSACTION = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute(f"PRAGMA journal_mode = {sys.argv[2]}")
db.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the commit
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE workspace SET name = 'torn'")
for number in range(300):
    db.execute(
        "INSERT INTO event (created_at, workspace_id, actor, kind, text)"
        " VALUES (0, 'demo', 'job', 'x', ?)", ("y" * 4000,)
    )
os.kill(os.getpid(), 9)
"""


def kill_amid_a_transaction(paths: Paths, journal_mode: str = "TRUNCATE") -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AMID_A_TRANSACTION, str(paths.database), journal_mode], check=False
    )
    assert done.returncode == -signal.SIGKILL


def names_by_reader(paths: Paths) -> list[str]:
    reader = Reader(paths)
    try:
        return [row.workspace.name for row in reader.workspaces(0.0)]
    finally:
        reader.close()


async def names_by_store(paths: Paths) -> list[str]:
    database.prepare(paths)
    async with Store.open(paths) as store:
        return [workspace.name for workspace in await store.workspaces()]


async def names_by_service(paths: Paths) -> list[str]:
    async with Service.open(paths) as service:
        return [row.workspace.name for row in await service.queries.workspaces()]


async def names_after_a_backup(paths: Paths) -> list[str]:
    copy = sqlite3.connect(database.backup(paths, "20260101T00"))
    found = [name for (name,) in copy.execute("SELECT name FROM workspace")]
    copy.close()
    return found


async def names_by_a_quick_verb(paths: Paths) -> list[str]:
    return names_by_reader(paths)


@pytest.mark.parametrize("journal_mode", ["TRUNCATE", "DELETE", "PERSIST", "WAL"])
@pytest.mark.parametrize(
    "opened_by", [names_by_a_quick_verb, names_by_store, names_by_service, names_after_a_backup]
)
async def test_who_opens_it_next_rolls_back_what_a_killed_writer_left(
    store_with_a_workspace: Paths, journal_mode: str, opened_by: Callable[[Paths], object]
) -> None:
    paths = store_with_a_workspace
    kill_amid_a_transaction(paths, journal_mode)
    sibling = paths.database.with_name("state.db-wal" if journal_mode == "WAL" else "state.db-journal")
    assert sibling.stat().st_size > 512
    assert await opened_by(paths) == ["demo"]  # type: ignore[misc]
    assert not list(paths.state.glob("*damaged*"))
    check = database.connect(paths.database, read_only=True)
    assert check.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    check.close()


def test_a_connection_for_reading_cannot_write(store_with_a_workspace: Paths) -> None:
    connection = database.connect(store_with_a_workspace.database, read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM workspace")
    connection.close()


def test_a_journal_beside_an_emptied_database_brings_nothing_back_that_is_half(
    store_with_a_workspace: Paths,
) -> None:
    paths = store_with_a_workspace
    database.backup(paths, "20260101T00")
    kill_amid_a_transaction(paths)
    os.truncate(paths.database, 0)
    assert names_by_reader(paths) == ["demo"]


def test_a_first_start_that_was_killed_is_begun_again(paths: Paths) -> None:
    paths.database.touch()
    paths.database.with_name("state.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
    assert names_by_reader(paths) == []


@pytest.fixture
def folder_for_others() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="reads as another user")
def test_who_may_not_write_is_told_why_a_torn_transaction_keeps_him_out(
    store_with_a_workspace: Paths, folder_for_others: Path
) -> None:
    kill_amid_a_transaction(store_with_a_workspace)
    for file in store_with_a_workspace.state.glob("state.db*"):
        shutil.copy(file, folder_for_others)
        (folder_for_others / file.name).chmod(0o644)
    output = as_nobody(lambda: reading_error(folder_for_others / "state.db"))
    assert "last transaction must be rolled back" in output
    assert "owner uid 0" in output


def reading_error(file: Path) -> str:
    try:
        database.connect(file, read_only=True).execute("SELECT name FROM workspace")
    except sqlite3.Error as error:
        return explain(error, file)
    return "it was read"


def as_nobody(work: Callable[[], str]) -> str:
    """In a process of another user, which has imported what it needs before."""
    result, inlet = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(65534)
            os.write(inlet, work().encode())
        finally:
            os._exit(0)
    os.close(inlet)
    with os.fdopen(result, encoding="utf-8") as answer:
        output = answer.read()
    os.waitpid(pid, 0)
    return output
