"""A damaged or lost state store comes back from its backup."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backend.store.rows import insert_workspace, names
from wsdash.backend.store import database
from wsdash.backend.store.reader import Reader
from wsdash.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "state", tmp_path / "config", tmp_path / "cache")


@pytest.mark.parametrize("damage", ["not a database at all" * 100, ""])
def test_a_damaged_file_is_moved_aside_and_the_backup_takes_its_place(paths: Paths, damage: str) -> None:
    database.prepare(paths)
    insert_workspace(paths, "demo")
    database.backup(paths, "20260101T00")
    paths.database.write_text(damage)
    text = database.prepare(paths)
    assert names(paths) == ["demo"]
    assert "moved to" in text[0]
    assert paths.database.with_suffix(".damaged").read_text() == damage


def test_a_lost_file_comes_back_from_the_backup(paths: Paths) -> None:
    database.prepare(paths)
    insert_workspace(paths, "demo")
    database.backup(paths, "20260101T00")
    paths.database.unlink()
    assert database.prepare(paths)
    assert names(paths) == ["demo"]


def test_a_damaged_page_is_noticed(paths: Paths) -> None:
    database.prepare(paths)
    for number in range(200):
        insert_workspace(paths, f"demo-{number}")
    database.backup(paths, "20260101T00")
    data = bytearray(paths.database.read_bytes())
    data[5 * 4096 : 8 * 4096] = b"\xff" * (3 * 4096)
    paths.database.write_bytes(data)
    assert "damaged" in database.prepare(paths)[0]
    assert len(names(paths)) == 200


def test_without_a_backup_it_starts_empty_and_says_so(paths: Paths) -> None:
    database.prepare(paths)
    paths.database.write_text("x" * 5000)
    text = database.prepare(paths)
    assert "no backup" in text[1]
    assert names(paths) == []


def test_a_quick_verb_mends_what_it_cannot_read(paths: Paths) -> None:
    database.prepare(paths)
    insert_workspace(paths, "demo")
    database.backup(paths, "20260101T00")
    paths.database.write_text("x" * 5000)
    reader = Reader(paths)
    assert [row.workspace.name for row in reader.workspaces(0.0)] == ["demo"]
    assert len(reader.notices) == 2
    reader.close()
