"""A hostile or broken job harms only itself: its siblings keep their tunnels, and others connect within seconds."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from tests.backend.access.conftest import ConnectedJob, Running
from tests.waiting import until, until_sync
from wsdash.backend.access.keys import make_keys
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.relay.server import JobConnection

FILES = 256
SOON_S = 180.0
"""A job reconnects after seconds; this machine may be busy besides."""


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Running]:
    """One that may have few files open."""
    if shutil.which("ssh") is None or shutil.which("prlimit") is None:
        pytest.skip("ssh or prlimit is not installed")
    folder = AccessFolder(tmp_path / "access")
    make_keys(folder)
    running = Running(folder, within=("prlimit", f"--nofile={FILES}:{FILES}"))
    running.start()
    yield running
    running.close()
    shutil.rmtree(folder.sockets)


@pytest.fixture
def healthy(relay: Running, tmp_path: Path) -> Iterator[ConnectedJob]:
    """A job whose tunnel is up."""
    job = relay.job(tmp_path, "healthy")
    assert job.enrol()
    job.open_tunnel()
    until_sync(lambda: relay.folder.socket("healthy").exists(), what="the tunnel")
    yield job
    assert [process.poll() for process in job.processes] == [None], "its tunnel was ended"
    job.close()


@pytest.fixture
def hostile(relay: Running, healthy: ConnectedJob, tmp_path: Path) -> Iterator[ConnectedJob]:
    job = relay.job(tmp_path, "hostile")
    assert job.enrol()
    yield job
    job.close()


@asynccontextmanager
async def connected(job: ConnectedJob) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """With the job's key."""
    key = asyncssh.read_private_key(str(job.relay.folder.host_key)).convert_to_public()
    async with asyncssh.connect(
        "127.0.0.1",
        job.relay.port,
        config=None,
        username=job.grant.attempt_id,
        client_keys=[str(job.folder / "job_key")],
        known_hosts=([key], [], []),
    ) as connection:
        yield connection


def files_of(relay: Running) -> int:
    return len(os.listdir(f"/proc/{relay.pid}/fd"))  # noqa: PTH208


async def lets_another_in(relay: Running, folder: Path) -> None:
    """A job that connects as OpenSSH does, and again when it is ended."""
    job = relay.job(folder, "late")
    await until(lambda: asyncio.to_thread(job.enrol), SOON_S, "the enrolment")
    try:
        end = time.monotonic() + SOON_S
        while not relay.folder.socket("late").exists():
            assert time.monotonic() < end, "it is not let in"
            process = job.open_tunnel()
            while process.poll() is None and not relay.folder.socket("late").exists():
                assert time.monotonic() < end, "it is not let in"
                await asyncio.sleep(0.05)
    finally:
        job.close()


async def test_a_job_that_asks_for_its_name_again_and_again_has_one_socket(
    relay: Running, hostile: ConnectedJob, tmp_path: Path
) -> None:
    before = files_of(relay)
    for at_once in (1, 500):
        with suppress(asyncssh.Error, OSError):
            async with connected(hostile) as connection:
                for _ in range(500 // at_once):
                    asked = [
                        connection.forward_remote_path_to_port(hostile.grant.path, "127.0.0.1", 1)
                        for _ in range(at_once)
                    ]
                    await asyncio.gather(*asked, return_exceptions=True)
                await connection.wait_closed()
    assert "too many requests, and its connection ends" in relay.log
    await until(lambda: files_of(relay) <= before, what="its files")
    assert [file.name for file in relay.folder.sockets.iterdir()] == ["healthy.sock"]
    await lets_another_in(relay, tmp_path)


async def test_the_second_request_for_the_name_takes_the_place_of_the_first(
    relay: Running, hostile: ConnectedJob
) -> None:
    async with connected(hostile) as connection:
        await connection.forward_remote_path_to_port(hostile.grant.path, "127.0.0.1", 1)
        files, first = files_of(relay), relay.folder.socket("hostile").stat().st_ino
        await connection.forward_remote_path_to_port(hostile.grant.path, "127.0.0.1", 1)
        assert relay.folder.socket("hostile").stat().st_ino != first
        assert files_of(relay) == files


async def test_one_key_holds_one_connection_however_often_it_logs_in(
    relay: Running, hostile: ConnectedJob, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(300):
            with suppress(asyncssh.Error, OSError):
                await stack.enter_async_context(connected(hostile))
            if "connects too often" in relay.log:
                break
        assert "connects too often, and waits" in relay.log
        assert files_of(relay) < 30
        await lets_another_in(relay, tmp_path)


async def test_logins_that_do_not_go_on_make_room_for_one_that_does(
    relay: Running, healthy: ConnectedJob, tmp_path: Path
) -> None:
    """Some say nothing, some half of it; all from the address that the others have too."""
    flood: list[socket.socket] = []
    async with asyncio.TaskGroup() as group:
        done = asyncio.Event()

        async def press_on() -> None:
            while not done.is_set():
                with suppress(OSError):
                    line = await asyncio.to_thread(socket.create_connection, ("127.0.0.1", relay.port), 5)
                    flood.append(line)
                    if len(flood) % 2:
                        line.send(b"SSH-2.0-OpenSSH_9.2\r\n")
                # As many as make the relay end some; then so few that a login has time on a busy machine.
                await asyncio.sleep(0.01 if len(flood) <= 100 else 0.2)

        group.create_task(press_on())
        await until(lambda: len(flood) > 100, what="the flood")
        await lets_another_in(relay, tmp_path)
        done.set()
    assert "a stalled one was ended" in relay.log
    assert files_of(relay) < 100
    for line in flood:
        line.close()


def test_a_job_that_answers_none_of_its_users_connections_keeps_none_of_them(
    relay: Running, hostile: ConnectedJob
) -> None:
    """Each look whether its tunnel is up is such a connection."""
    process = hostile.open_tunnel()
    until_sync(lambda: relay.folder.socket("hostile").exists(), what="its tunnel")
    before = files_of(relay)
    process.send_signal(signal.SIGSTOP)
    for _ in range(10):
        with socket.socket(socket.AF_UNIX) as user:
            user.connect(str(relay.folder.socket("hostile")))
    until_sync(lambda: files_of(relay) < before, 30, "the end of its tunnel")


async def test_more_requests_than_a_job_has_use_for_end_its_connection_and_fill_no_log(
    relay: Running, hostile: ConnectedJob
) -> None:
    for _ in range(8):
        with suppress(asyncssh.Error, OSError):
            async with connected(hostile) as connection:
                for port in range(1000):
                    with suppress(asyncssh.ChannelListenError):
                        await connection.create_server(asyncssh.SSHTCPSession, "127.0.0.1", port or 1)
    assert len(relay.log) < 100_000


@pytest.mark.parametrize("what", ["the folder is gone", "no file can be opened"])
async def test_an_error_on_this_side_supersedes_nobody(
    relay: Running, healthy: ConnectedJob, tmp_path: Path, what: str
) -> None:
    if what == "the folder is gone":
        away = tmp_path / "away"
        relay.folder.grants.rename(away)
        await until(lambda: "tunnels stay as they are" in relay.log, 30, "a look")
        away.rename(relay.folder.grants)
    else:
        subprocess.run(["prlimit", f"--pid={relay.pid}", f"--nofile=5:{FILES}"], check=True)
        relay.grants.write(replace(healthy.grant, workspace_id="other", attempt_id="other.a1"))
        kept = relay.grants.of_workspace("healthy")
        assert kept is not None
        relay.grants.write(kept)  # so that it must be read again
        await until(lambda: "tunnels stay as they are" in relay.log, 30, "a look")
        subprocess.run(["prlimit", f"--pid={relay.pid}", f"--nofile={FILES}:{FILES}"], check=True)
    assert "superseded" not in relay.log
    await lets_another_in(relay, tmp_path)


async def test_while_a_grant_cannot_be_read_its_job_is_told_nothing_that_it_would_give_up_at(
    relay: Running, healthy: ConnectedJob, tmp_path: Path
) -> None:
    grant = relay.grants.of_workspace("healthy")
    assert grant is not None
    (relay.folder.grants / "healthy.json").write_text("")
    job = ConnectedJob(relay, tmp_path / "again", grant, healthy.secret)
    assert "Permission denied" not in job.refused("-N", "-o", "BatchMode=yes")
    assert "superseded" not in relay.log
    relay.grants.write(grant)


async def test_nothing_is_read_of_a_connection_while_its_login_is_looked_at() -> None:
    """asyncssh would keep all that it sends meanwhile."""
    read, write = socket.socketpair()
    with read, write:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=read)
        seen = []

        class Connection:
            _transport = transport

        job = JobConnection(None)  # type: ignore[arg-type]
        job._connection = Connection()  # type: ignore[assignment]
        with job._nothing_read():
            seen.append(transport.is_reading())
        seen.append(transport.is_reading())
        assert seen == [False, True]
        assert job.buffered() == 0
        transport.close()


async def test_asyncssh_still_has_what_its_transport_is_reached_by(
    relay: Running, healthy: ConnectedJob, hostile: ConnectedJob
) -> None:
    async with connected(hostile) as connection:
        assert isinstance(connection._transport, asyncio.Transport)
