"""The port of the relay is one that it keeps, and where it cannot listen there the reason is told."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.access.conftest import client_of
from wsdash.backend.access import listening
from wsdash.backend.access.grants import Grant, Grants
from wsdash.backend.access.listening import CannotListen
from wsdash.backend.access.relay import process as relay_process
from wsdash.backend.access.relay_client import RelayClient

LOCAL = "127.0.0.1"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[RelayClient]:
    found = client_of(tmp_path)
    yield found
    found.process.end()


def free_port() -> int:
    return listening.choose_port(LOCAL, listening.ephemeral_ports())


def test_a_changed_port_is_listened_at(client: RelayClient, tmp_path: Path) -> None:
    client.ensure_running()
    port = free_port()
    other = client_of(tmp_path, port)
    other.ensure_running()
    with socket.create_connection((LOCAL, port), 10) as line:
        assert line.recv(64).startswith(b"SSH-2.0-wsdash")
    assert other.address.port == port


def test_a_relay_goes_on_where_the_port_of_the_new_settings_is_taken(
    client: RelayClient, tmp_path: Path
) -> None:
    client.ensure_running()
    before = client.process.process()
    with socket.create_server((LOCAL, 0)) as other:
        changed = client_of(tmp_path, other.getsockname()[1])
        with pytest.raises(CannotListen, match="is used by"):
            changed.ensure_running()
        assert changed.process.problem() is not None
        assert client.process.process() == before
        assert client.is_running()


def test_a_taken_port_is_told_at_once_with_its_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_process, "START_S", 3600.0)
    with socket.create_server((LOCAL, 0)) as other:
        port = other.getsockname()[1]
        client = client_of(tmp_path, port)
        client.folder.prepare()
        with pytest.raises(CannotListen, match=f"port {port} is used by .*{os.getpid()}"):
            client.ensure_running()
        assert not client.is_running()
        assert str(port) in str(client.process.problem())
    assert client.process.problem() is None


def test_the_port_is_outside_of_the_kernels_range_and_kept(client: RelayClient, tmp_path: Path) -> None:
    port = client.address.port
    assert port not in listening.ephemeral_ports()
    assert client_of(tmp_path).address.port == port
    with socket.create_server((LOCAL, port)):
        assert client_of(tmp_path).address.port == port
        with pytest.raises(CannotListen, match=str(port)):
            client.ensure_running()


def test_a_port_of_before_in_the_kernels_range_goes_on_while_a_job_knows_it(
    client: RelayClient, tmp_path: Path
) -> None:
    client.folder.prepare()
    with socket.create_server((LOCAL, 0)) as probe:
        old = probe.getsockname()[1]
    assert old in listening.ephemeral_ports()
    (client.folder.root / "port").write_text(str(old))
    Grants(client.folder.grants).write(Grant("w1", "w1.a1", 1))
    assert client.address.port == old
    client.ensure_running()
    Grants(client.folder.grants).remove("w1")
    assert client.address.port == old, "while a relay has it"
    client.process.end()
    assert client.address.port not in {old, *listening.ephemeral_ports()}


def test_a_port_of_before_that_a_connection_has_taken_is_replaced(client: RelayClient) -> None:
    client.folder.prepare()
    Grants(client.folder.grants).write(Grant("w1", "w1.a1", 1))
    with socket.create_server((LOCAL, 0)) as far, socket.socket() as outgoing:
        outgoing.bind((LOCAL, 0))
        outgoing.connect(far.getsockname())
        (client.folder.root / "port").write_text(str(outgoing.getsockname()[1]))
        client.ensure_running()
        assert client.is_running()
        assert client.address.port not in listening.ephemeral_ports()


def test_who_asks_for_the_relay_is_noted(client: RelayClient) -> None:
    client.folder.prepare()
    marks = set()
    for _ in range(2):
        client.ensure_running()
        marks.add(client.folder.needed.stat().st_mtime_ns)
    assert len(marks) == 2
