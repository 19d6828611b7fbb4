"""A job whose tunnel stands gets the relay's new address, and connects there; a wrong one loses it nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backend.access.conftest import Running
from tests.backend.access.test_job_script import Job
from tests.waiting import until_sync
from wsdash.backend.access import listening
from wsdash.backend.access.relay_client import RelayClient
from wsdash.backend.providers.gitlab.tunnel.announce import send_address
from wsdash.config.settings import Access
from wsdash.paths import Paths

LOCAL = "127.0.0.1"


def client_of(tmp_path: Path, port: int, host: str = LOCAL) -> RelayClient:
    return RelayClient(Paths(tmp_path, tmp_path / "c", tmp_path / "k"), Access(host, LOCAL, port))


@pytest.fixture
def job(relay: Running, tmp_path: Path) -> Iterator[Job]:
    found = Job(relay, tmp_path / "job")
    found.folder.mkdir()
    found.open_tunnel()
    client = client_of(tmp_path, relay.port)
    until_sync(lambda: client.is_connected("w1"), 60, "the tunnel")
    grant = client.grant("w1")
    assert grant is not None
    relay.grants.write(replace(grant, address=client.address.text, context="work"))
    yield found
    found.close()


def test_a_job_connects_to_the_new_port_without_a_restart(relay: Running, job: Job, tmp_path: Path) -> None:
    moved = client_of(tmp_path, listening.choose_port(LOCAL, listening.ephemeral_ports()))
    moved.ensure_running(lambda: send_address(moved))
    try:
        grant = moved.grant("w1")
        assert grant is not None
        assert grant.later == moved.address.text
        until_sync(lambda: moved.is_connected("w1"), 60, "the tunnel to the new port")
        assert relay.port == moved.address.port
        assert moved.jobs_elsewhere() == []
    finally:
        moved.process.end()


def test_a_job_that_got_a_wrong_address_comes_back_by_the_one_that_it_began_with(
    relay: Running, job: Job, tmp_path: Path
) -> None:
    wrong = client_of(tmp_path, relay.port, "no-such-host.invalid")
    wrong.ensure_running(lambda: send_address(wrong))
    until_sync(lambda: wrong.is_connected("w1"), 60, "the tunnel by the address of before")
    assert wrong.reached() == {}, "which proves nothing of the new one"
    wrong.process.end()


def test_a_job_of_an_earlier_version_is_known_to_need_a_restart(
    relay: Running, job: Job, tmp_path: Path
) -> None:
    script = job.folder / "run/job/tunnel.sh"
    script.write_text(script.read_text().replace("'wsdash-relay '*)", "'wsdash-unknown '*)"))
    send_address(client_of(tmp_path, 1))
    grant = client_of(tmp_path, 1).grant("w1")
    assert grant is not None
    assert grant.later == ""
