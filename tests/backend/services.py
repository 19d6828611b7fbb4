"""Short ways to make a workspace with a service and to wait for it."""

from __future__ import annotations

from pathlib import Path

import psutil

from tests.waiting import until
from wsdash.backend.operations.create import CreateRequest
from wsdash.backend.service import Service
from wsdash.backend.store.reader import WorkspaceRow
from wsdash.model import Phase, Policy, Workspace

RUNNING = frozenset({Phase.RUNNING})


QUICK = Policy(ladder_s=(0.01,), start_limit=2, grace_s=5.0)


async def created(service: Service, source: Path, policy: Policy = QUICK) -> Workspace:
    preview = await service.creation.preview(CreateRequest(str(source)))
    return await service.creation.create(preview, policy)


async def demo(service: Service) -> str:
    """The id of the workspace that is called demo now."""
    return (await service.queries.find("demo")).id


async def running(service: Service, name: str, attempt: int) -> WorkspaceRow:
    """The workspace's row as soon as it runs in (at least) this attempt."""

    async def row() -> WorkspaceRow | None:
        found = (await service.queries.detail((await service.queries.find(name)).id)).row
        is_there = found.attempt is not None and found.attempt.number >= attempt
        return found if is_there and found.status.phase is Phase.RUNNING else None

    return await until(row, 20.0, f"{name} running in attempt {attempt}")


def supervisor_of(row: WorkspaceRow) -> psutil.Process:
    assert row.attempt is not None and row.attempt.job_id is not None
    return psutil.Process(int(row.attempt.job_id))
