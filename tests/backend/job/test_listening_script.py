"""The result of `job.sh listening` with real processes and sockets."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.backend.job.conftest import Job
from tests.waiting import until_sync
from wsdash.backend.job.ports import Listener, listeners
from wsdash.workload import Workload

SERVER = """
import socket, sys
server = socket.create_server((sys.argv[1], 0))
print(server.getsockname()[1], flush=True)
input()
"""


@pytest.fixture
def somebody_elses() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_only_the_workspaces_own_processes_count(job: Job, somebody_elses: int, address: str) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PROJECTS_ROOT": str(job.projects)},
    )
    assert server.stdout is not None and server.stdin is not None
    number = int(server.stdout.readline())
    text: list[Listener] = []

    def ask() -> bool:
        asked = job.start("listening", Workload())
        assert asked.process.wait(30) == 0
        text[:] = listeners(asked.log.encode())
        return bool(text)

    until_sync(ask, what="the listener")
    assert [(one.number, one.loopback) for one in text] == [(number, address == "127.0.0.1")]
    assert text[0].program.startswith("python")
    assert somebody_elses != number
    server.stdin.close()
    server.wait(60)
