"""A GitLab, a runner, and providers as processes of one user would have them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.backend.providers.gitlab.harness import GitLabHarness, Instance
from tests.gitlab_server import GitLabServer
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.provider import GitLabProvider


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitLabServer]:
    with GitLabServer(tmp_path / "gitlab") as server:
        yield server


@pytest.fixture
def instance(server: GitLabServer, tmp_path: Path) -> Instance:
    """One user, who owns one project, and a runner that is not started."""
    return Instance.made(server, tmp_path)


@pytest.fixture
async def api(instance: Instance) -> AsyncIterator[GitLabApi]:
    api = instance.api()
    yield api
    await api.client.aclose()


@pytest.fixture
async def harness(instance: Instance, leaves_nothing_running: None) -> AsyncIterator[GitLabHarness]:
    with instance.runner():
        harness = GitLabHarness(instance)
        yield harness
        await harness.close()


@pytest.fixture
async def provider(instance: Instance) -> AsyncIterator[GitLabProvider]:
    provider = instance.provider()
    await provider.observe()
    instance.server.forget()
    yield provider
    await provider.aclose()
