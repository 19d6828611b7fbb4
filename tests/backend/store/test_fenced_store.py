"""Writes of the process that holds the lease, and of no other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.backend.builders import attempt, workspace
from tests.backend.store.leases import fence
from wsdash.backend.store import database
from wsdash.backend.store.fenced_store import FencedStore
from wsdash.backend.store.lease import LEASE_S, LeaseLost
from wsdash.backend.store.store import Store
from wsdash.backend.system.processes import ProcessIdentity, boot_id
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


async def token(store: Store, owner: str, holder: ProcessIdentity, now: float) -> int | None:
    """The token that the lease is acquired with, None where it is not."""
    fenced = await FencedStore.acquire(store, owner, holder, now)
    return None if fenced is None else fenced.token


async def test_a_writer_whose_lease_was_taken_changes_nothing(store: Store) -> None:
    await store.create_workspace(workspace(), Workload(), "created")
    old = await fence(store)
    await old.give_up_lease()
    new = await fence(store)
    assert new.token == old.token + 1
    with pytest.raises(LeaseLost):
        await old.record_intent(attempt(launched=None), "too late", {})
    assert await store.attempts("w1") == []
    await new.record_intent(attempt(launched=None), "in time", {})
    assert len(await store.attempts("w1")) == 1


async def test_a_held_lease_is_not_given_to_another(store: Store) -> None:
    fenced = await fence(store, now=0.0)
    assert await token(store, "dashboard", ProcessIdentity.own(), LEASE_S - 1) is None
    await fenced.renew(LEASE_S - 1)
    assert await token(store, "dashboard", ProcessIdentity.own(), LEASE_S + 1) is None
    assert await token(store, "dashboard", ProcessIdentity.own(), 2 * LEASE_S) == fenced.token + 1


async def test_the_lease_of_a_killed_process_is_free_at_once(store: Store) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = ProcessIdentity.of(child.pid)
    assert holder is not None
    assert await token(store, "daemon", holder, 0.0) == 1
    assert await token(store, "dashboard", ProcessIdentity.own(), 1.0) is None
    child.kill()
    child.communicate()
    assert await token(store, "dashboard", ProcessIdentity.own(), 1.0) == 2


async def test_a_pid_that_was_given_to_another_process_holds_nothing(store: Store) -> None:
    own = ProcessIdentity.own()
    assert await token(store, "daemon", ProcessIdentity(own.pid, own.ticks - 1, boot_id()), 0.0) == 1
    assert await token(store, "dashboard", own, 1.0) == 2
    assert await token(store, "daemon", ProcessIdentity(own.pid, own.ticks, "before"), 99.0) == 3
