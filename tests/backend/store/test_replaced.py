"""The store's file is replaced, removed, emptied or damaged under processes that have it open."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.waiting import until
from wsdash.backend.errors import UserError
from wsdash.backend.reconcile.leader_election import LEASE_RETRY_S
from wsdash.backend.service import Service
from wsdash.backend.store import database
from wsdash.backend.store.errors import StateRemoved
from wsdash.backend.store.fenced_store import FencedStore
from wsdash.backend.store.lease import LEASE_S, LeaseLost
from wsdash.backend.store.reader import Reader
from wsdash.backend.store.repair import await_file, copy_database
from wsdash.backend.store.store import Store
from wsdash.backend.store.transactions import Transactions
from wsdash.backend.system.clock import boot_time
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.model import Desired, Phase, Policy, Workspace
from wsdash.paths import Paths
from wsdash.screens.session import Session
from wsdash.workload import Workload

STOPPED = frozenset({Phase.STOPPED})


def workspace(name: str) -> Workspace:
    return Workspace(
        id=name,
        name=name,
        context="local",
        source_url=None,
        ref=None,
        devfile_path=None,
        desired=Desired.STOPPED,
        generation=1,
        policy=Policy(),
        created_at=1.0,
        desired_changed_at=1.0,
    )


def copy_of(paths: Paths) -> Path:
    """The store as it is now, to be put in its place later: it has the workspace `old` and not `new`."""
    file = paths.state / "a-copy"
    copy_database(paths.database, file)
    return file


def move_over(paths: Paths, copy: Path) -> None:
    copy.replace(paths.database)


def copy_over(paths: Paths, copy: Path) -> None:
    paths.database.write_bytes(copy.read_bytes())


def remove(paths: Paths, copy: Path) -> None:
    paths.database.unlink()


def empty(paths: Paths, copy: Path) -> None:
    os.truncate(paths.database, 0)


def overwrite(paths: Paths, copy: Path) -> None:
    paths.database.write_bytes(b"no database at all" * 5000)


REPLACED = pytest.mark.parametrize(
    ("replace", "journal"),
    [
        *((way, "rollback journal") for way in (move_over, copy_over, remove, empty, overwrite)),
        # Not copied over: a log belongs to the file by its inode, and SQLite applies it to what was copied in.
        *((way, "write-ahead log") for way in (move_over, remove, empty, overwrite)),
    ],
)


@pytest.fixture
def journal() -> str:
    return "rollback journal"


@pytest.fixture
def with_old_and_backup(paths: Paths, journal: str, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setattr(database, "wal_is_sound", lambda *_: journal == "write-ahead log")
    database.prepare(paths)

    async def create() -> None:
        async with Store.open(paths) as store:
            await store.create_workspace(workspace("old"), Workload(), "created")

    asyncio.run(create())
    database.backup(paths, "20260101T00")
    return paths


@asynccontextmanager
async def reconciling_service(paths: Paths) -> AsyncIterator[Service]:
    async with Service.open(paths) as service:
        task = asyncio.create_task(service.reconcile("dashboard"))
        try:
            await until(lambda: is_reconciling(service), 20.0, "somebody reconciles")
            yield service
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def has_backed_up(paths: Paths) -> bool:
    return len(list(paths.backups.glob("state-*.db"))) == 2


async def is_reconciling(service: Service) -> bool:
    return (await service.daemon.reconciling()).by == "this"


async def names(service: Service) -> list[str]:
    return [row.workspace.name for row in await service.queries.workspaces()]


@REPLACED
async def test_a_process_goes_on_with_the_file_that_is_there_and_says_so_once(
    with_old_and_backup: Paths,
    replace: Callable[[Paths, Path], None],
    journal: str,
    caplog: pytest.LogCaptureFixture,
    leaves_nothing_running: None,
) -> None:
    paths = with_old_and_backup
    copy = copy_of(paths)
    async with reconciling_service(paths) as service, Store.open(paths) as other:
        # The next backup comes in a minute.
        await until(lambda: has_backed_up(paths), 60.0, "the backup of the one who reconciles")
        await other.create_workspace(workspace("new"), Workload(), "created")
        assert await names(service) == ["new", "old"]
        caplog.clear()
        replace(paths, copy)

        async def sees_old_alone() -> bool:
            return await names(service) == ["old"]

        await until(sees_old_alone, 20.0, "the service reads the present file")
        await until(lambda: is_reconciling(service), 20.0, "it reconciles the present file")
        await service.lifecycle.start((await service.queries.find("old")).id)
        await service.lifecycle.stop((await service.queries.find("old")).id)
        await service.lifecycle.wait_for((await service.queries.find("old")).id, STOPPED, 20.0)
        # A fresh look from outside finds the commands in the file that has the name.
        assert names_in(paths) == ["old"]
        assert check(paths) == "ok"
        lines = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        assert len(lines) == len(set(lines)), lines
        assert len(lines) <= 6


def names_in(paths: Paths) -> list[str]:
    reader = Reader(paths)
    try:
        return [row.workspace.name for row in reader.workspaces(0.0)]
    finally:
        reader.close()


def check(paths: Paths) -> str:
    connection = sqlite3.connect(paths.database)
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


async def test_a_token_counts_in_the_file_in_which_it_was_acquired_alone(with_old_and_backup: Paths) -> None:
    paths = with_old_and_backup
    async with Store.open(paths) as store:
        fenced = await FencedStore.acquire(store, "daemon", ProcessIdentity.own(), boot_time())
        assert fenced is not None
        copy = copy_of(paths)  # its lease says that this process holds it, by the same token
        copy.replace(paths.database)
        with pytest.raises(LeaseLost):
            await fenced.renew(boot_time())
        again = await FencedStore.acquire(store, "daemon", ProcessIdentity.own(), boot_time())
        assert again is not None
        await again.renew(boot_time())


async def test_a_living_holder_that_the_present_file_names_keeps_its_lease(
    with_old_and_backup: Paths,
) -> None:
    paths = with_old_and_backup
    async with Store.open(paths) as store:
        other = ProcessIdentity.of(os.getppid())
        assert other is not None
        copy = copy_of(paths)
        connection = sqlite3.connect(copy)
        connection.execute(
            "INSERT INTO lease VALUES ('reconciler', 7, 'daemon', ?, ?, ?, ?, '')",
            (other.boot_id, other.pid, other.ticks, boot_time() + LEASE_S),
        )
        connection.commit()
        connection.close()
        copy.replace(paths.database)
        own = ProcessIdentity.own()
        assert await FencedStore.acquire(store, "dashboard", own, boot_time()) is None
        found = await FencedStore.acquire(store, "dashboard", own, boot_time() + LEASE_S + 1)
        assert found is not None
        assert found.token == 8


async def test_a_commit_into_a_file_that_lost_its_name_meanwhile_is_done_again(
    with_old_and_backup: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = with_old_and_backup
    copy = copy_of(paths)
    async with Store.open(paths) as store:
        write_event = store._event

        async def replaced_amid(*values: object) -> None:
            await write_event(*values)  # type: ignore[arg-type]
            if copy.exists():
                copy.replace(paths.database)

        monkeypatch.setattr(store, "_event", replaced_amid)
        await store.create_workspace(workspace("acknowledged"), Workload(), "created")
    assert names_in(paths) == ["acknowledged", "old"]


async def test_a_removed_state_folder_ends_the_reconciler_and_is_not_made_again(
    with_old_and_backup: Paths,
) -> None:
    paths = with_old_and_backup
    async with Service.open(paths) as service:
        task = asyncio.create_task(service.reconcile("daemon"))
        await until(lambda: is_reconciling(service), 20.0, "somebody reconciles")
        shutil.rmtree(paths.state.rename(paths.state.with_name("moved")))
        with pytest.raises(StateRemoved, match="was removed"):
            async with asyncio.timeout(30.0):
                await task
        with pytest.raises(StateRemoved):
            await service.queries.workspaces()
        assert not paths.state.exists()


@pytest.mark.parametrize("had_it_open", [True, False])
async def test_a_reader_makes_no_state_folder_again_however_late_it_is_removed(
    with_old_and_backup: Paths, monkeypatch: pytest.MonkeyPatch, had_it_open: bool
) -> None:
    paths = with_old_and_backup
    copy = copy_of(paths)
    reading = Reader(paths, makes_store=False)
    if had_it_open:
        assert [row.workspace.name for row in reading.workspaces(0.0)] == ["old"]
        copy.replace(paths.database)

    def removed_just_after(looked_for: Paths) -> None:
        await_file(looked_for)
        paths.state.rename(paths.state.with_name("moved"))

    monkeypatch.setattr("wsdash.backend.store.reader.await_file", removed_just_after)
    with pytest.raises(StateRemoved, match="was removed"):
        reading.workspaces(0.0)
    assert not paths.state.exists()


async def test_a_dashboard_goes_on_by_itself_when_its_state_folder_was_moved_away_and_back(
    with_old_and_backup: Paths,
) -> None:
    paths = with_old_and_backup
    elsewhere = paths.state.with_name("moved")
    failures: list[str] = []
    session = Session(
        lambda: Service.open(paths), changed=lambda: None, failed=lambda error, what: failures.append(what)
    )
    session.start()
    try:
        await until(lambda: session.reconciling and session.reconciling.by == "this", what="it reconciles")
        await until(lambda: session.isolation, what="it has found out what jobs run in")
        paths.state.rename(elsewhere)
        await until(lambda: "was removed" in session.stale_reason, what="it says that the folder is gone")
        assert session.reconciling is None
        await asyncio.sleep(2 * LEASE_RETRY_S)
        assert not paths.state.exists()

        elsewhere.rename(paths.state)
        await until(lambda: session.stale_reason == "", what="it reads again")
        await until(
            lambda: session.reconciling and session.reconciling.by == "this", what="it reconciles again"
        )
        assert session.service is not None
        old = await session.service.queries.find("old")
        await session.service.lifecycle.delete(old.id)
        await session.service.lifecycle.wait_for(old.id, frozenset({Phase.DELETED}), 60.0)
        assert failures == []
    finally:
        await session.close()


async def test_a_wait_ends_when_its_workspace_is_in_no_store_any_more(with_old_and_backup: Paths) -> None:
    paths = with_old_and_backup
    copy = copy_of(paths)
    async with Service.open(paths) as service, Store.open(paths) as other:
        await other.create_workspace(workspace("new"), Workload(), "created")
        waiting = asyncio.create_task(
            service.lifecycle.wait_for(
                (await service.queries.find("new")).id, frozenset({Phase.RUNNING}), 60.0
            )
        )
        await asyncio.sleep(0)
        await until(lambda: is_waiting(waiting), 20.0, "it waits")
        copy.replace(paths.database)
        with pytest.raises(UserError, match="no longer in the state store"):
            await waiting


async def is_waiting(task: asyncio.Task[object]) -> bool:
    await asyncio.sleep(0.2)
    return not task.done()


async def test_whoever_watches_the_store_is_woken_by_another_file(with_old_and_backup: Paths) -> None:
    paths = with_old_and_backup
    copy = copy_of(paths)
    async with Service.open(paths) as service:
        changes = service.queries.changes()
        woken = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0.1)
        copy.replace(paths.database)
        async with asyncio.timeout(20.0):
            await woken


@pytest.fixture(autouse=True)
def few_tokens_left() -> Iterator[None]:
    yield
    Transactions._lease_tokens.clear()
