"""Workspaces are looked into before their policy deletes them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from tests.backend.services import QUICK, created, demo, running
from tests.repositories import make_repository
from wsdash.backend.service import Service
from wsdash.model import Phase


async def test_an_autodelete_leaves_what_is_nowhere_else_and_takes_the_rest_announced(
    service: Service, repository: Path, tmp_path: Path
) -> None:
    policy = replace(QUICK, delete_after_stopped_hours=0.001)
    await created(service, repository, policy)
    clean = await created(service, make_repository(tmp_path / "clean", devfile=None), policy)
    for name in ("demo", "clean"):
        await running(service, name, 1)
    command = await service.access.shell(await demo(service), ("sh", "-c", "echo precious >unsaved.txt"))
    assert (
        await (await asyncio.create_subprocess_exec(*command.argv, env=command.env, cwd=command.cwd)).wait()
        == 0
    )
    for name in ("demo", "clean"):
        await service.lifecycle.stop((await service.queries.find(name)).id)
    await service.lifecycle.wait_for(clean.id, frozenset({Phase.DELETED}), 60.0)
    kinds = [event.kind for event in await service.queries.events(clean.id)]
    assert kinds.index("deleted") < kinds.index("deletion-announced")
    assert kinds.count("deletion-announced") == 1
    row = (await service.queries.detail(await demo(service))).row
    assert row.status.phase is Phase.STOPPED
    assert row.status.reason.startswith("not deleted: 2 files are unsaved")
    assert "not deleted: 2 files are unsaved" in (await service.queries.why(await demo(service))).sentence
    assert "not-deleted" in [event.kind for event in await service.queries.events(await demo(service))]
