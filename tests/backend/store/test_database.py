"""The database file: migrated, backed up, mended; and the settings that keep it whole."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.backend.store.rows import insert_workspace, names
from wsdash import __version__
from wsdash.backend.store import database
from wsdash.backend.store.database import wal_is_sound
from wsdash.backend.store.errors import DatabaseError, NewerSchema
from wsdash.backend.store.fenced_store import FencedStore
from wsdash.backend.store.reader import Reader
from wsdash.backend.store.repair import BACKUPS_KEPT
from wsdash.backend.store.store import Store
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.paths import PathError, Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "state", tmp_path / "config", tmp_path / "cache")


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_wal_is_used_only_where_the_reset_bug_is_mended(version: tuple[int, int, int], sound: bool) -> None:
    assert wal_is_sound(version, "ext4") is sound
    assert not wal_is_sound(version, "nfs4")


def test_a_new_file_is_private_durable_and_of_the_newest_schema(paths: Paths) -> None:
    assert database.prepare(paths) == []
    assert paths.state.stat().st_mode & 0o777 == 0o700
    assert paths.database.stat().st_mode & 0o777 == 0o600
    connection = database.connect(paths.database)
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(database.migrations())
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(
            "INSERT INTO event (created_at, workspace_id, actor, kind, text) VALUES (1, 'x', 'user', '', '')"
        )
    connection.close()


def test_before_a_migration_the_file_is_backed_up(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    database.prepare(paths)
    insert_workspace(paths, "demo")
    monkeypatch.setattr(
        database, "migrations", lambda: [*_MIGRATIONS, "CREATE TABLE more (id TEXT PRIMARY KEY) STRICT;\n"]
    )
    database.prepare(paths)
    connection = database.connect(paths.database)
    assert connection.execute("SELECT count(*) FROM more").fetchone()[0] == 0
    connection.close()
    (copy,) = paths.backups.glob("state-schema-*.db")
    old = sqlite3.connect(copy)
    assert old.execute("SELECT name FROM workspace").fetchall() == [("demo",)]
    assert old.execute("PRAGMA user_version").fetchone()[0] == len(_MIGRATIONS)
    old.close()


_MIGRATIONS = database.migrations()


BEFORE_FIELD_TERMS = """
INSERT INTO workspace VALUES ('w1', 'demo', 'local', NULL, NULL, NULL, 'running', 1, '{}', '{}', 1, 2, NULL, 3, NULL);
INSERT INTO workspace VALUES ('w2', 'gone', 'local', NULL, NULL, NULL, 'deleted', 1, '{}', '{}', 1, 2, 4, NULL, NULL);
INSERT INTO attempt (id, workspace_id, number, generation, intended_at, launched_at, seen, problem) VALUES
  ('a1', 'w1', 1, 1, 5, 6, '{"attempt_id":"a1","state":"running","job_id":"j","beats_by":"line"}',
   'it does not answer');
INSERT INTO event (at, workspace_id, actor, kind, text) VALUES
  (1, 'w1', 'user', 'created', ''), (2, 'w1', 'reconciler', 'goes-on', ''), (3, 'w1', 'reconciler', 'withdrawn', ''),
  (4, 'w1', 'job', 'not-saved', ''), (5, 'w1', 'reconciler', 'left-behind', ''), (6, 'w2', 'reconciler', 'let-go', '');
INSERT INTO look VALUES ('local', 7, 0, 8, 'unplugged');
INSERT INTO lease VALUES ('reconciler', 41, 'daemon', 'boot', 1, 1, 1e12);
"""
"""Rows as the schema 4 had them."""


@pytest.fixture
def of_schema_4(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Paths:
    with monkeypatch.context() as earlier:
        earlier.setattr(database, "migrations", lambda: _MIGRATIONS[:4])
        database.prepare(paths)
    connection = sqlite3.connect(paths.database)
    connection.executescript(BEFORE_FIELD_TERMS)
    connection.close()
    return paths


def test_a_store_of_the_schema_before_tells_the_same_as_then(of_schema_4: Paths) -> None:
    reader = Reader(of_schema_4)
    detail, ids = reader.detail("w1", 10.0), reader.ids()
    reader.close()
    assert (detail.row.workspace.desired_changed_at, detail.row.workspace.autostop_not_before) == (2.0, 3.0)
    (found,) = detail.attempts
    assert found.last_observation is not None and found.last_observation.job_id == "j"
    assert found.last_error == "it does not answer"
    assert "unplugged" in detail.row.status.reason
    assert [(event.at, event.kind) for event in reversed(detail.events)] == [
        (1.0, "created"),
        (2.0, "in-progress"),
        (3.0, "cancel-withdrawn"),
        (4.0, "checkpoint-failed"),
        (5.0, "leftovers"),
    ]
    assert ids.elsewhere == {"w2"}


async def test_a_process_of_the_schema_before_loses_the_lease_and_does_not_get_it_back(
    of_schema_4: Paths,
) -> None:
    database.prepare(of_schema_4)
    connection = database.connect(of_schema_4.database)
    guard = "UPDATE lease SET token = token WHERE name = 'reconciler' AND token = 41"
    assert connection.execute(guard).rowcount == 0
    with pytest.raises(sqlite3.Error, match="8 columns"):
        connection.execute(
            "INSERT OR REPLACE INTO lease VALUES ('reconciler', 43, 'daemon', 'boot', 1, 1, 1e12)"
        )
    connection.close()
    async with Store.open(of_schema_4) as store:
        fenced = await FencedStore.acquire(store, "daemon", ProcessIdentity.own(), 0.0)
        assert fenced is not None and fenced.token == 43
        lease = await store.lease()
        assert lease is not None and lease.version == __version__


def test_a_migration_that_fails_changes_nothing(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    database.prepare(paths)
    insert_workspace(paths, "demo")
    broken = "CREATE TABLE more (id TEXT);\nINSERT INTO nowhere VALUES (1);\n"
    monkeypatch.setattr(database, "migrations", lambda: [*_MIGRATIONS, broken])
    with pytest.raises(DatabaseError):
        database.prepare(paths)
    monkeypatch.undo()
    assert names(paths) == ["demo"]


def test_a_newer_schema_is_read_but_not_written(paths: Paths) -> None:
    database.prepare(paths)
    insert_workspace(paths, "demo")
    connection = database.connect(paths.database)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(NewerSchema, match="schema 99"):
        database.prepare(paths)
    reader = Reader(paths)
    assert [row.workspace.name for row in reader.workspaces(0.0)] == ["demo"]
    assert "schema 99" in reader.notices[0]
    reader.close()


def test_a_state_folder_of_another_user_is_refused(paths: Paths, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    paths.state.symlink_to(target)
    with pytest.raises(PathError, match="WSDASH_HOME"):
        database.prepare(paths)


def test_old_backups_are_let_go(paths: Paths) -> None:
    database.prepare(paths)
    for hour in range(30):
        database.backup(paths, f"20260101T{hour:02}")
    assert len(list(paths.backups.glob("*.db"))) == BACKUPS_KEPT
