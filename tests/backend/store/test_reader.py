"""Reads for people: what the list, one row and the detail say of a workspace agree."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backend.builders import NOW, attempt, job, workspace
from wsdash.backend.store import database
from wsdash.backend.store.fenced_store import FencedStore
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.backend.store.reader import Reader
from wsdash.backend.store.store import Store
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.model import Observation
from wsdash.paths import Paths
from wsdash.workload import Workload


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path / "state", tmp_path / "config", tmp_path / "cache")
    database.prepare(found)
    return found


@pytest.fixture
async def fenced(paths: Paths) -> AsyncIterator[FencedStore]:
    """A store in which the workspace w1 runs."""
    async with Store.open(paths) as store:
        await store.create_workspace(workspace(), Workload(), "created")
        await store.create_workspace(replace(workspace(), id="w2", name="other"), Workload(), "created")
        found = await FencedStore.acquire(store, "daemon", ProcessIdentity.own(), 0.0)
        assert found is not None
        one = attempt(launched=None)
        await found.record_intent(one, "wanted running", {})
        await found.record_launch(one, job(one), NOW)
        await found.record_observation("local", Observation(NOW, True, NOW), [], [], [], NOW, 0.0)
        yield found


@pytest.fixture
def reader(paths: Paths) -> Iterator[Reader]:
    opened = Reader(paths)
    yield opened
    opened.close()


async def test_one_row_is_what_the_list_and_the_detail_show(fenced: FencedStore, reader: Reader) -> None:
    row = reader.row("w1", NOW)
    assert row.attempt is not None and row.event is not None and row.event.kind == "launch"
    assert row == next(found for found in reader.workspaces(NOW) if found.workspace.id == "w1")
    assert row == reader.detail("w1", NOW).row


async def test_the_first_rows_are_those_of_the_whole_list(fenced: FencedStore, reader: Reader) -> None:
    whole = reader.workspaces(NOW)
    assert len(whole) == 2
    assert reader.workspaces(NOW, first=1) == whole[:1]
    assert reader.workspaces(NOW, first=5) == whole
    assert reader.workspaces(NOW, events=False) == [replace(row, event=None) for row in whole]


async def test_the_row_of_a_deleted_workspace_is_its_tombstone(fenced: FencedStore, reader: Reader) -> None:
    await fenced.record_deletion("w1", NOW, "gone", {})
    assert reader.row("w1", NOW).workspace.deleted_at == NOW
    with pytest.raises(NoSuchWorkspace):
        reader.row("never", NOW)


async def test_the_workload_of_a_deleted_workspace_is_gone_from_the_file(
    fenced: FencedStore, paths: Paths, reader: Reader
) -> None:
    workload = reader.detail("w1", NOW).workload.encode()
    assert len(workload) > 2
    connection = database.connect(paths.database)
    connection.execute(
        """UPDATE workspace SET workload = '{"env": {"TEAM": "orange-marker"}}' WHERE id = 'w1'"""
    )
    assert b"orange-marker" in paths.database.read_bytes()
    await fenced.record_deletion("w1", NOW, "gone", {})
    assert reader.detail("w1", NOW).workload == "{}"
    assert b"orange-marker" not in paths.database.read_bytes()
    connection.close()


async def test_an_observation_of_an_earlier_version_is_read_without_what_is_no_longer_known(
    fenced: FencedStore, paths: Paths, reader: Reader
) -> None:
    connection = database.connect(paths.database)
    connection.execute(
        "UPDATE attempt SET last_observation = json_set(last_observation, '$.beats_by', 'line')"
    )
    connection.close()
    found = reader.row("w1", NOW).attempt
    assert found is not None and found.last_observation == job(attempt(launched=None))
