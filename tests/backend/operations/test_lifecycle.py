"""Commands of a user: committed at once, and waited for at little cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backend.builders import NOW, workspace
from wsdash.backend.errors import UserError
from wsdash.backend.service import Service
from wsdash.backend.store.fenced_store import FencedStore
from wsdash.backend.store.reader import Reader
from wsdash.backend.store.store import Store
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.commands.progress import wait_showing
from wsdash.model import Desired, Phase
from wsdash.paths import Paths
from wsdash.workload import Workload


async def test_a_wait_reads_only_the_row_that_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(tmp_path / "state", tmp_path / "config", tmp_path / "cache")
    async with Service.open(paths) as service, Store.open(paths) as store:
        stopped = workspace(Desired.STOPPED)
        await store.create_workspace(stopped, Workload(), "created")
        read: list[str] = []
        for name in ("workspaces", "detail", "row"):
            monkeypatch.setattr(Reader, name, _noting(read, name, getattr(Reader, name)))
        row = await wait_showing(service, stopped, frozenset({Phase.STOPPED}), 60.0)
        assert row.workspace == stopped
        with pytest.raises(UserError, match="demo is stopped, not running"):
            await service.lifecycle.wait_for("w1", frozenset({Phase.RUNNING}), 0.5)
        assert set(read) == {"row"}


async def test_a_wait_for_what_is_deleted_ends(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "state", tmp_path / "config", tmp_path / "cache")
    async with Service.open(paths) as service, Store.open(paths) as store:
        await store.create_workspace(workspace(Desired.STOPPED), Workload(), "created")
        fenced = await FencedStore.acquire(store, "daemon", ProcessIdentity.own(), 0.0)
        assert fenced is not None
        await fenced.record_deletion("w1", NOW, "its time had come", {})
        with pytest.raises(UserError, match="demo was deleted meanwhile") as raised:
            await service.lifecycle.wait_for("w1", frozenset({Phase.STOPPED}), 60.0)
        assert raised.value.exit_code == 3


def _noting(read: list[str], name: str, method):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    def noting(*args, **kwargs):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN003, ANN202
        read.append(name)
        return method(*args, **kwargs)

    return noting
