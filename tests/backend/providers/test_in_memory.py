"""The seam of providers: one that has the nine methods alone, under the contract and under the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.backend.providers.contract import Harness, ProviderContract
from tests.backend.providers.in_memory import Host, InMemoryProvider
from tests.repositories import make_repository
from tests.waiting import until
from wsdash.backend.operations.create import CreateRequest, Preview
from wsdash.backend.providers.errors import NotSupported
from wsdash.backend.service import Service
from wsdash.config import settings
from wsdash.model import Phase, Policy, Workspace
from wsdash.paths import Paths

QUICK = Policy(ladder_s=(0.01,), grace_s=10.0)


class TestInMemory(ProviderContract):
    @pytest.fixture
    async def harness(self, tmp_path: Path, leaves_nothing_running: None) -> AsyncIterator[Harness]:
        host = Host(tmp_path / "host", beat_s=0.2)
        harness = Harness(lambda: InMemoryProvider(host))
        yield harness
        await harness.close()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host", beat_s=0.2)


@pytest.fixture
async def service(
    paths: Paths, host: Host, monkeypatch: pytest.MonkeyPatch, leaves_nothing_running: None
) -> AsyncIterator[Service]:
    """A service whose config.toml has a context of the kind `memory`, and who reconciles."""
    monkeypatch.setattr(settings, "PROVIDERS", (*settings.PROVIDERS, InMemoryProvider.kind))
    paths.config.mkdir(parents=True, exist_ok=True)
    paths.config_file.write_text(
        'default_context = "here"\n[contexts.here]\nprovider = "memory"\n[personal]\ngit_identity = false\n'
    )
    makers = {InMemoryProvider.kind: lambda context, config: InMemoryProvider(host)}
    async with Service.open(paths, makers=makers) as opened:
        reconciling = asyncio.create_task(opened.reconcile("dashboard"))
        yield opened
        reconciling.cancel()
        await asyncio.gather(reconciling, return_exceptions=True)
        for job in host.jobs.values():
            await job.end()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "demo")


async def created(service: Service, repository: Path) -> Workspace:
    preview = await service.creation.preview(CreateRequest(str(repository), context="here"))
    return await service.creation.create(preview, QUICK)


async def running(service: Service, workspace: Workspace, attempt: int) -> None:
    async def is_running() -> bool:
        row = await service.queries.row(workspace.id)
        number = row.attempt.number if row.attempt is not None else 0
        return number == attempt and row.status.phase is Phase.RUNNING

    await until(is_running, 20.0, f"attempt {attempt} running")


async def test_a_workspace_lives_from_create_to_delete(
    service: Service, repository: Path, host: Host
) -> None:
    workspace = await created(service, repository)
    await running(service, workspace, 1)
    assert b"hello from demo" in (await service.queries.read_log(workspace.id)).data

    await service.lifecycle.stop(workspace.id)
    await service.lifecycle.wait_for(workspace.id, frozenset({Phase.STOPPED}), 20.0)
    await service.lifecycle.start(workspace.id)
    await running(service, workspace, 2)
    await service.lifecycle.restart(workspace.id)
    await running(service, workspace, 3)
    numbers = [attempt.number for attempt in await service.queries.attempts(workspace.id)]
    assert numbers == [1, 2, 3]

    await service.lifecycle.delete(workspace.id)
    await service.lifecycle.wait_for(workspace.id, frozenset({Phase.DELETED}), 20.0)
    assert host.jobs == {}
    assert not (host.root / workspace.id).exists()


async def test_a_job_that_dies_is_replaced(service: Service, repository: Path, host: Host) -> None:
    workspace = await created(service, repository)
    await running(service, workspace, 1)
    next(iter(host.jobs.values())).kill()
    await running(service, workspace, 2)


async def test_a_verb_without_its_feature_names_the_provider_and_what_to_do(
    service: Service, repository: Path, tmp_path: Path
) -> None:
    workspace = await created(service, repository)
    await running(service, workspace, 1)
    transfer = service.transfer
    for verb in (
        service.access.shell(workspace.id),
        service.access.forwarding(workspace.id, "127.0.0.1:1", 80),
        service.access.way_to(workspace.id, "/tmp/editor", str(tmp_path / "socket")),
        service.work.keep_work(workspace.id),
        transfer.export_workspace(workspace.id, tmp_path / "demo.tar", progress=lambda _: None),
    ):
        with pytest.raises(NotSupported, match="the provider memory cannot") as caught:
            await verb
        assert caught.value.hint
        assert caught.value.exit_code == 1
    assert not (tmp_path / "demo.tar").exists()


async def test_a_workspace_whose_secrets_nobody_keeps_is_not_made(service: Service, repository: Path) -> None:
    preview: Preview = await service.creation.preview(CreateRequest(str(repository), context="here"))
    with pytest.raises(NotSupported, match="the provider memory cannot store secrets"):
        await service.creation.create(preview, values={"TOKEN": "value"})
    assert await service.queries.workspaces() == []


async def test_a_display_lacks_what_its_provider_lacks(service: Service, repository: Path) -> None:
    preview = await service.creation.preview(CreateRequest(str(repository), context="here"))
    assert preview.limitations == ()
    assert preview.source_url == str(repository)
    workspace = await created(service, repository)
    await running(service, workspace, 1)
    assert service.queries.folder(workspace) is None
    assert await service.access.shells(workspace.id) is None
    assert await service.work.unsaved_work(workspace.id) is None
    ports = await service.access.ports(workspace.id)
    assert ([port.number for port in ports.ports], ports.is_known) == ([8080], False)
