"""When a daemon is started: nobody reconciles, and there is something to keep alive."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.backend.builders import workspace
from wsdash.backend.operations import daemon
from wsdash.backend.service import Service
from wsdash.backend.store.fenced_store import FencedStore
from wsdash.backend.store.store import Store
from wsdash.backend.system.clock import boot_time
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.model import Desired
from wsdash.paths import Paths
from wsdash.workload import Workload


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[Paths]:
    """Where a daemon was started."""
    found: list[Paths] = []

    def spawn(paths: Paths) -> int:
        found.append(paths)
        return 1

    monkeypatch.setattr(daemon, "spawn", spawn)
    return found


async def acquire(store: Store, owner: str) -> FencedStore:
    fenced = await FencedStore.acquire(store, owner, ProcessIdentity.own(), boot_time())
    assert fenced is not None
    return fenced


async def test_a_daemon_is_started_only_while_nobody_reconciles(paths: Paths, spawned: list[Paths]) -> None:
    async with Service.open(paths) as service, Store.open(paths) as store:
        assert (await service.daemon.reconciling()).by == "nobody"
        await service.daemon.ensure_reconciler()
        assert spawned == [paths]
        fenced = await acquire(store, "daemon")
        assert (await service.daemon.reconciling()).by == "this"
        await service.daemon.ensure_reconciler()
        assert spawned == [paths]
        await fenced.give_up_lease()


@pytest.mark.parametrize(
    ("desired", "config", "hands_over"),
    [
        (Desired.RUNNING, "", True),
        (Desired.DELETED, "", True),
        (Desired.STOPPED, "", False),
        (Desired.RUNNING, "[dashboard]\nhandover = false\n", False),
    ],
)
async def test_a_dashboard_hands_over_what_needs_care_unless_the_user_forbids_it(
    paths: Paths, spawned: list[Paths], desired: Desired, config: str, hands_over: bool
) -> None:
    paths.config.mkdir(exist_ok=True)
    paths.config_file.write_text(config)
    async with Service.open(paths) as service, Store.open(paths) as store:
        await store.create_workspace(replace(workspace(desired), context="local"), Workload(), "created")
        assert await service.daemon.hand_over() is hands_over
    assert bool(spawned) is hands_over


async def test_without_workspaces_there_is_nothing_to_hand_over(paths: Paths, spawned: list[Paths]) -> None:
    async with Service.open(paths) as service:
        assert not await service.daemon.hand_over()
    assert spawned == []
