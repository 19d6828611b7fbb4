"""Transactions: cancelled callers, several processes, kill -9."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.backend.builders import attempt, workspace
from tests.backend.store.leases import fence
from wsdash.backend.store import database
from wsdash.backend.store.lease import LEASE_S
from wsdash.backend.store.store import Store
from wsdash.paths import Paths
from wsdash.workload import Workload


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path / "state", tmp_path / "config", tmp_path / "cache")
    database.prepare(found)
    return found


@pytest.fixture
async def store(paths: Paths) -> AsyncIterator[Store]:
    async with Store.open(paths) as opened:
        yield opened


async def test_a_cancelled_caller_does_not_tear_its_transaction(store: Store) -> None:
    await store.create_workspace(workspace(), Workload(), "created")
    fenced = await fence(store)
    task = asyncio.create_task(fenced.record_intent(attempt(launched=None), "launch", {}))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await fenced.renew(1.0)  # waits for its turn, so the first has ended
    assert len(await store.attempts("w1")) == 1


async def test_a_transaction_that_fails_after_its_caller_was_cancelled_logs_no_traceback(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await store.create_workspace(workspace(), Workload(), "created")
    former = await fence(store)
    await fence(store, LEASE_S + 1)
    task = asyncio.create_task(former.record_intent(attempt(launched=None), "launch", {}))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    del task
    assert await store.attempts("w1") == []
    await store.update_workload("w1", Workload(), 2.0)  # waits for its turn, so the first has ended
    gc.collect()
    assert caplog.messages == []


WRITER = """
import sys
from pathlib import Path
from wsdash.backend.store.database import connect
db = connect(Path(sys.argv[1]))
for n in range(int(sys.argv[2])):
    db.execute("BEGIN IMMEDIATE")
    count = db.execute("SELECT generation FROM workspace").fetchone()[0]
    db.execute("UPDATE workspace SET generation = ?", (count + 1,))
    db.execute("COMMIT")
    print(n, flush=True)
"""


async def test_several_processes_write_without_losing_a_write(store: Store, paths: Paths) -> None:
    await store.create_workspace(workspace(), Workload(), "created")
    command = [sys.executable, "-c", WRITER, str(paths.database), "50"]
    writers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert (await store.workspace("w1")).generation == 151


async def test_an_acknowledged_write_survives_kill_9(store: Store, paths: Paths) -> None:
    await store.create_workspace(workspace(), Workload(), "created")
    for _ in range(5):
        before = (await store.workspace("w1")).generation
        command = [sys.executable, "-c", WRITER, str(paths.database), "100000"]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline() for _ in range(20)]
        writer.kill()
        acknowledged += writer.stdout.readlines()
        writer.wait()
        writer.stdout.close()
        complete = [line for line in acknowledged if line.endswith("\n")]
        assert (await store.workspace("w1")).generation >= before + len(complete)
    check = sqlite3.connect(paths.database)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()
