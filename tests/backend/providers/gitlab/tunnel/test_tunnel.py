"""Why a workspace of a GitLab cannot be entered is told as it is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backend import builders
from wsdash.backend.access.grants import Grants
from wsdash.backend.access.relay_client import RelayClient
from wsdash.backend.access.sightings import Sightings
from wsdash.backend.providers.errors import PermanentError
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat
from wsdash.backend.providers.gitlab.tunnel.heartbeats import TunnelHeartbeats
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.config.settings import Access, GitLabSettings
from wsdash.paths import Paths

LOCAL = "127.0.0.1"
BEAT = Heartbeat("w1", "a1", 1, 0)
SETTINGS = GitLabSettings("https://gitlab.example", "group/app")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[RelayClient]:
    found = RelayClient(Paths(tmp_path, tmp_path / "c", tmp_path / "k"), Access(LOCAL, LOCAL))
    yield found
    found.process.end()


async def test_a_relay_that_cannot_listen_is_told_by_ssh_and_by_show(client: RelayClient) -> None:
    tunnel = JobTunnel(client, SETTINGS)
    with socket.create_server((LOCAL, client.address.port)):
        with pytest.raises(PermanentError, match=f"port {client.address.port} is used by ") as refused:
            await tunnel.command("w1", "app", ("true",))
        assert "Set port in [access]" in refused.value.hint
        status = TunnelHeartbeats(tunnel).status(BEAT)
        assert f"port {client.address.port} is used by " in status
        assert "Set port in [access]" in status
    await tunnel.ensure_relay()
    assert "is used by" not in TunnelHeartbeats(tunnel).status(BEAT)
    assert client.is_running()


async def test_ssh_says_what_the_relay_saw_of_the_job(
    client: RelayClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not called yet, refused, and from before: each has its own sentence, and none of them blames the image."""
    monkeypatch.setattr("wsdash.backend.providers.gitlab.tunnel.tunnel.CONNECT_S", 0.3)
    tunnel = JobTunnel(client, SETTINGS)

    async def said() -> str:
        with pytest.raises(PermanentError, match="app cannot be entered") as refused:
            await tunnel.command("w1", "app", ("true",))
        assert "image" not in f"{refused.value} {refused.value.hint}"
        return str(refused.value)

    assert "began before [access] was set" in await said()
    workspace = replace(builders.workspace(), id="w1", name="app")
    await tunnel.authorize(workspace, builders.attempt(), 7)
    assert f"has not connected to this machine ({LOCAL} port {client.address.port}) yet" in await said()
    grant = client.grant("w1")
    assert grant is not None
    sightings = Sightings(client.folder.seen, client.folder.reached, Grants(client.folder.grants))
    sightings.note(grant, refused_at=1.0, refusal="its id token is too old")
    sightings.flush()
    assert "its job is refused: its id token is too old" in await said()
    assert "is refused: its id token" in TunnelHeartbeats(tunnel).status(BEAT)
