"""What a job gets through its tunnel in each of its states."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.backend import builders
from wsdash.backend.git.credential_files import KeptCredentials
from wsdash.backend.providers.gitlab.tunnel.services import TunnelServices
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.config.settings import GitLabSettings
from wsdash.model import JobState


class Tunnel(JobTunnel):
    """A tunnel that counts how often its relay was asked for."""

    def __init__(self, settings: GitLabSettings, *, is_configured: bool) -> None:
        super().__init__(None, settings)
        self.relays = 0
        self.configured = is_configured

    @property
    def is_configured(self) -> bool:
        return self.configured

    async def ensure_relay(self) -> None:
        self.relays += 1


async def begun(
    tmp_path: Path, *states: JobState, is_configured: bool = True, encrypts: bool = False
) -> tuple[list[str], int]:
    """The services that begin for jobs in these states, and how often the relay was asked for."""
    settings = replace(GitLabSettings("https://gitlab.example", "group/app"), encrypt_cache=encrypts)
    tunnel = Tunnel(settings, is_configured=is_configured)
    services = TunnelServices(
        tunnel, settings, tmp_path, tmp_path / "key", (), KeptCredentials(tmp_path / "kept")
    )
    found: list[str] = []

    def note(word: str) -> Any:  # noqa: ANN401
        return lambda *_: found.append(word)

    for service, act in (
        (services.heartbeats, "follow"),
        (services.imports, "send"),
        (services.checkpoints, "send"),
        (services.checkpoints, "follow"),
        (services._credentials, "serve"),
        (services._cache_keys, "send"),
    ):
        setattr(service, act, note(f"{type(service).__name__}.{act}"))
    await services.serve([builders.job(builders.attempt(), state) for state in states])
    await services.aclose()
    return found, tunnel.relays


STARTING = ["TunnelHeartbeats.follow", "CredentialServer.serve", "PendingImports.send", "Checkpoints.send"]
RUNNING = ["TunnelHeartbeats.follow", "CredentialServer.serve", "Checkpoints.follow"]


@pytest.mark.parametrize(
    ("states", "services", "relays"),
    [
        ([JobState.STARTING], STARTING, 1),
        ([JobState.RUNNING], RUNNING, 1),
        ([JobState.QUEUED], [], 1),
        ([JobState.RUNNING, JobState.ENDED], RUNNING, 1),
        ([JobState.ENDED], [], 0),
        ([], [], 0),
    ],
)
async def test_a_job_gets_what_its_state_needs(
    tmp_path: Path, states: list[JobState], services: list[str], relays: int
) -> None:
    assert await begun(tmp_path, *states) == (services, relays)


async def test_a_key_is_sent_only_where_caches_are_encrypted(tmp_path: Path) -> None:
    found, _ = await begun(tmp_path, JobState.RUNNING, encrypts=True)
    assert "CacheKeys.send" in found


async def test_without_a_way_to_this_machine_nothing_begins(tmp_path: Path) -> None:
    assert (await begun(tmp_path, JobState.STARTING, is_configured=False))[0] == []
