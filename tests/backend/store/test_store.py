"""The state store on real SQLite files: guarded writes, acknowledged commands, several processes."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.backend.builders import NOW, attempt, job, workspace
from tests.backend.store.leases import fence
from wsdash.backend.store import database
from wsdash.backend.store.errors import DatabaseError
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.backend.store.reader import Reader
from wsdash.backend.store.store import NameTaken, Store
from wsdash.model import Cause, Desired, End, Observation, StepResult
from wsdash.paths import Paths
from wsdash.workload import Command, EnvVar, Parallel, Port, Resources, Sequential, Source, Volume, Workload


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path / "state", tmp_path / "config", tmp_path / "cache")
    database.prepare(found)
    return found


@pytest.fixture
async def store(paths: Paths) -> AsyncIterator[Store]:
    async with Store.open(paths) as opened:
        yield opened


async def test_a_workload_comes_back_as_it_was(store: Store) -> None:
    install = Command("install", "npm 'ci' && echo \"$HOME\"\n", "$PROJECT_SOURCE", (EnvVar("A", "$b"),))
    workload = Workload(
        image="node:22",
        env=(EnvVar("X", "ünï\ncode"),),
        source=Source("https://example.com/a.git", "main"),
        post_start=(Sequential("all", (install, Parallel("both", (install, install)))),),
        ports=(Port("http", 3000),),
        volumes=(Volume("data", "/data", 1024),),
        resources=Resources(cpu_limit=1.5),
    )
    await store.create_workspace(workspace(), workload, "created")
    assert await store.workload("w1") == workload


async def test_a_name_is_free_again_only_when_its_workspace_is_gone(store: Store) -> None:
    from dataclasses import replace

    await store.create_workspace(workspace(), Workload(), "created")
    second = replace(workspace(), id="w2")
    with pytest.raises(NameTaken):
        await store.create_workspace(second, Workload(), "created")
    fenced = await fence(store)
    await fenced.record_deletion("w1", NOW, "gone", {})
    await store.create_workspace(second, Workload(), "created")


async def test_a_workspace_that_is_wanted_deleted_cannot_be_wanted_otherwise(store: Store) -> None:
    await store.create_workspace(workspace(), Workload(), "created")
    await store.set_desired_state("w1", Desired.DELETED, new_generation=False, now=NOW, text="delete")
    with pytest.raises(NoSuchWorkspace):
        await store.set_desired_state("w1", Desired.RUNNING, new_generation=True, now=NOW, text="start")


async def test_every_act_leaves_its_event_in_the_same_transaction(store: Store, paths: Paths) -> None:
    fenced = await fence(store)
    await store.create_workspace(workspace(), Workload(), "created")
    one = attempt(launched=None)
    await fenced.record_intent(one, "wanted running", {"why": "rule 1"})
    await fenced.record_launch(one, job(one), NOW)
    await fenced.record_cancel(one, NOW, "asked", Cause.CANCELLED, {})
    await fenced.record_force_cancel(one, NOW, "did not end", {})
    await fenced.record_end(one, End(NOW, Cause.CANCELLED))
    reader = Reader(paths)
    events = reader.events("w1")
    reader.close()
    kinds = [event.kind for event in reversed(events)]
    assert kinds == ["created", "launch", "cancel", "force-cancel", "ended"]
    assert events[-2].evidence == {"why": "rule 1"}


async def test_what_was_observed_comes_back_for_everybody(store: Store, paths: Paths) -> None:
    from dataclasses import replace

    fenced = await fence(store)
    await store.create_workspace(workspace(), Workload(), "created")
    one = attempt(launched=None)
    await fenced.record_intent(one, "launch", {})
    await fenced.record_launch(one, job(one), NOW)
    (known,) = await store.attempts("w1")
    output = replace(job(known), steps=(StepResult("postStart", "install", NOW, NOW + 1, 2, 10, 20),))
    await fenced.record_observation("local", Observation(NOW, True, NOW), [(known, output)], [], [], NOW, 0.0)
    reader = Reader(paths)
    (row,) = reader.workspaces(NOW + 1)
    reader.close()
    assert row.attempt is not None
    assert row.attempt.last_observation == output
    assert "postStart install failed with exit 2" in row.status.reason


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


async def test_on_a_full_disk_the_ballast_makes_room_and_then_the_error_is_clear(small_disk: Path) -> None:
    full = Paths(small_disk / "state", small_disk / "config", small_disk / "cache")
    database.prepare(full)
    ballast = full.state / "ballast"
    ballast.write_bytes(b"\0" * database.BALLAST_SIZE)
    async with Store.open(full) as store:
        await store.create_workspace(workspace(), Workload(), "created")
        with (small_disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(b"\0" * 4096)
        large = "x" * 20_000
        await store.set_desired_state("w1", Desired.STOPPED, new_generation=False, now=NOW, text=large)
        assert not ballast.exists()
        with pytest.raises(DatabaseError, match="no space is left"):
            for _ in range(100):
                await store.set_desired_state(
                    "w1", Desired.STOPPED, new_generation=False, now=NOW, text=large
                )
        assert (await store.workspace("w1")).desired is Desired.STOPPED
