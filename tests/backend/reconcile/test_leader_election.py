"""One process reconciles, whoever gives the commands."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from tests.backend.services import created, running
from tests.waiting import until
from wsdash.backend.reconcile import leader_election
from wsdash.backend.service import Service
from wsdash.paths import Paths


async def test_user_commands_reach_a_reconciler_in_another_process(
    paths: Paths, repository: Path, service: Service
) -> None:
    async with Service.open(paths) as other:
        await until(lambda: _is_reconciled(other), 10.0, "the lease, which is this process's, whoever asks")
        await created(other, repository)
        await running(other, "demo", 1)


async def test_two_services_never_reconcile_at_once(paths: Paths, service: Service) -> None:
    await until(lambda: _is_reconciled(service), 10.0, "the first has the lease")
    async with Service.open(paths) as other:
        await asyncio.wait_for(other.reconcile("daemon", idle_exit_s=0.1), 20.0)


async def _is_reconciled(service: Service) -> bool:
    return (await service.daemon.reconciling()).by == "this"


async def test_a_new_workspace_is_in_the_backup_soon_after(
    paths: Paths, repository: Path, leaves_nothing_running: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader_election, "BACKUP_S", 0.05)
    async with Service.open(paths) as service:
        reconciling = asyncio.create_task(service.reconcile("daemon"))
        await created(service, repository)
        await until(lambda: _names_in_backup(paths) == ["demo"], 20.0, "the backup")
        reconciling.cancel()
        await asyncio.gather(reconciling, return_exceptions=True)


def _names_in_backup(paths: Paths) -> list[str] | None:
    for backup in paths.backups.glob("state-*.db"):
        connection = sqlite3.connect(backup)
        found = [name for (name,) in connection.execute("SELECT name FROM workspace")]
        connection.close()
        return found
    return None
