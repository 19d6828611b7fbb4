"""The relay is started, and one of another version is replaced."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.backend.access.conftest import ConnectedJob, Running
from tests.waiting import until_sync
from wsdash.backend.access.relay_client import RelayClient
from wsdash.config.settings import Access
from wsdash.paths import Paths


def is_reachable(relay: Running) -> bool:
    with socket.socket(socket.AF_UNIX) as user:
        try:
            user.connect(str(relay.folder.socket("w1")))
        except OSError:
            return False
        return True


def test_a_relay_of_an_older_version_is_replaced_and_its_job_dials_the_new_one(
    relay: Running, job: ConnectedJob, tmp_path: Path
) -> None:
    client = RelayClient(
        Paths(tmp_path, tmp_path / "c", tmp_path / "k"), Access("127.0.0.1", "127.0.0.1", relay.port)
    )
    assert client.folder == relay.folder
    before = relay.pid
    client.ensure_running()
    assert relay.pid == before
    relay.folder.about.write_text(relay.folder.about.read_text().replace('"version"', '"before"'))
    client.ensure_running()
    assert relay.pid != before
    try:
        job.open_tunnel()
        until_sync(lambda: is_reachable(relay), 30, "the tunnel")
    finally:
        os.kill(relay.pid, 15)
        until_sync(lambda: not client.is_running(), what="its end, after which its sockets are gone")


def test_a_relay_that_was_taken_for_one_that_does_not_run_is_known_again(
    relay: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = RelayClient(
        Paths(tmp_path, tmp_path / "c", tmp_path / "k"), Access("127.0.0.1", "127.0.0.1", relay.port)
    )
    before = relay.pid
    looks = iter([False])  # it was killed, and its own parent has just started it again
    is_running = client.is_running
    monkeypatch.setattr(client, "is_running", lambda: next(looks, None) is None and is_running())
    client.ensure_running()
    assert client.is_running() and relay.pid == before

    relay.folder.about.unlink()
    until_sync(client.is_running, what="what it tells of itself")
    assert relay.pid == before


def test_nobody_waits_for_a_relay_whose_port_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsdash.backend.access.relay_client.START_S", 3600.0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        client = RelayClient(
            Paths(tmp_path, tmp_path / "c", tmp_path / "k"), Access("127.0.0.1", "127.0.0.1", port)
        )
        client.ensure_running()
        assert not client.is_running()
