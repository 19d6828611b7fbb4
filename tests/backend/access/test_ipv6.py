"""A job reaches the relay by an address of IPv6, and is entered."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.access.conftest import SSHD, Running
from tests.backend.access.test_job_script import Job, ssh_into
from tests.backend.access.test_listening import has_ipv6
from wsdash.backend.access.keys import make_keys
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.relay_client import RelayClient
from wsdash.backend.operations import check_access
from wsdash.config.settings import Access
from wsdash.paths import Paths

pytestmark = [
    pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6"),
    pytest.mark.skipif(SSHD is None, reason="sshd is not installed"),
]


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Running]:
    folder = AccessFolder(tmp_path / "access")
    make_keys(folder)
    running = Running(folder, "::1")
    running.start()
    yield running
    running.close()
    shutil.rmtree(folder.sockets)


def test_a_job_that_connects_by_ipv6_is_entered(relay: Running, tmp_path: Path) -> None:
    job = Job(relay, tmp_path / "job")
    job.folder.mkdir()
    ssh = ssh_into(relay, tmp_path)
    try:
        job.open_tunnel()
        done = ssh("echo", "inside")
        assert (done.returncode, done.stdout) == (0, "inside\n"), (done.stderr, job.said)
        found = ssh.relay_client.sighting("w1")
        assert found is None or found.host in ("", "::1")
    finally:
        job.close()


def test_a_host_in_brackets_is_the_address_that_jobs_get_and_answers(tmp_path: Path) -> None:
    access = Access("[::1]", "::")
    client = RelayClient(Paths(tmp_path, tmp_path / "c", tmp_path / "k"), access)
    client.ensure_running()
    try:
        assert client.address.text == f"::1 {client.address.port}"
        for host in ("::1", "127.0.0.1"):
            reached = check_access.connect(host, client.address.port, is_running=True)
            assert reached.answer.startswith(b"SSH-2.0-wsdash")
        assert any(
            "the relay answers at ::1" in one.message for one in check_access.findings(client, "::", [])
        )
    finally:
        client.process.end()
