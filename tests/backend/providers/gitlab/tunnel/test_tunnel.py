"""Why a workspace of a GitLab cannot be entered is told as it is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsdash.backend.access.relay_client import RelayClient
from wsdash.backend.providers.errors import PermanentError
from wsdash.backend.providers.gitlab.tunnel.heartbeats import TunnelHeartbeats
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.config.settings import Access, GitLabSettings
from wsdash.paths import Paths

LOCAL = "127.0.0.1"
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
        status = TunnelHeartbeats(tunnel).status("w1.a1")
        assert f"port {client.address.port} is used by " in status
        assert "Set port in [access]" in status
    await tunnel.ensure_relay()
    assert "is used by" not in TunnelHeartbeats(tunnel).status("w1.a1")
    assert client.is_running()
