"""The relay lets a job do one thing: listen under the virtual name of its own workspace, after it has proven itself."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from tests.backend.access.conftest import SSHD, ConnectedJob, Running
from tests.waiting import until_sync
from wsdash.backend.access import proxy_command
from wsdash.backend.access.keys import public_key
from wsdash.backend.access.known_hosts import alias_of


@pytest.fixture
def job(relay: Running, tmp_path: Path) -> Iterator[ConnectedJob]:
    found = relay.job(tmp_path)
    yield found
    found.close()


def listening(relay: Running, workspace: str = "w1") -> bool:
    return relay.folder.socket(workspace).exists()


def echo_server() -> tuple[socket.socket, int]:
    server = socket.create_server(("127.0.0.1", 0))
    return server, server.getsockname()[1]


def test_a_job_enrols_once_and_its_socket_is_the_users_alone(relay: Running, job: ConnectedJob) -> None:
    assert job.enrol()
    server, port = echo_server()
    job.open_tunnel(target=f"127.0.0.1:{port}")
    until_sync(lambda: listening(relay), what="the socket")
    path = relay.folder.socket("w1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with socket.socket(socket.AF_UNIX) as user:
        user.connect(str(path))
        there, _ = server.accept()
        user.sendall(b"ping")
        assert there.recv(4) == b"ping"
        there.sendall(b"pong")
        assert user.recv(4) == b"pong"
        there.close()
    server.close()


def test_without_enrolment_no_key_is_taken(relay: Running, job: ConnectedJob) -> None:
    assert job.open_tunnel().wait(30) != 0
    assert not listening(relay)


@pytest.mark.parametrize(
    ("arguments", "logged"),
    [
        (("--", "true"), "refused a session"),
        (("-s", "--", "sftp"), "refused a session"),
        (("-tt", "--"), "refused a session"),
        (("-A", "-X", "--", "true"), "refused a session"),
        (("-N", "-R", "/wsdash/w2:127.0.0.1:1"), "refused to listen under '/wsdash/w2'"),
        (("-N", "-R", "/tmp/evil.sock:127.0.0.1:1"), "refused to listen under '/tmp/evil.sock'"),
        (("-N", "-R", "/wsdash/../x:127.0.0.1:1"), "refused to listen under"),
        (("-N", "-R", "0:127.0.0.1:1"), "refused to listen at"),
        (("-N", "-R", "127.0.0.1:2222:127.0.0.1:1"), "refused to listen at"),
        (("-W", "127.0.0.1:22"), "refused a connection to '127.0.0.1'"),
        (("-W", "169.254.169.254:80"), "refused a connection to"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_everything_else_is_refused_and_logged(
    relay: Running, job: ConnectedJob, arguments: tuple[str, ...], logged: str
) -> None:
    assert job.enrol()
    if "--" in arguments:
        at = arguments.index("--")
        job.refused(*arguments[:at], command=arguments[at + 1 :])
    else:
        job.refused(*arguments)
    until_sync(lambda: logged in relay.log, what=logged)
    assert list(relay.folder.sockets.iterdir()) == []


@pytest.mark.parametrize("kind", ["create_tun", "create_tap"])
async def test_a_tunnel_device_is_refused_and_logged(relay: Running, job: ConnectedJob, kind: str) -> None:
    """OpenSSH would need such a device of its own to ask for one."""
    assert job.enrol()
    options = asyncssh.SSHClientConnectionOptions(
        username=job.grant.attempt_id,
        client_keys=[str(job.folder / "job_key")],
        known_hosts=([asyncssh.read_private_key(str(relay.folder.host_key)).convert_to_public()], [], []),
    )
    async with asyncssh.connect("127.0.0.1", relay.port, config=None, options=options) as line:
        with pytest.raises(asyncssh.ChannelOpenError):
            await getattr(line, kind)(asyncssh.SSHTunTapSession, 0)
    assert "refused a tunnel device" in relay.log
    assert list(relay.folder.sockets.iterdir()) == []


def test_a_unix_socket_of_this_machine_is_not_reached(relay: Running, job: ConnectedJob) -> None:
    assert job.enrol()
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as agent:
        target = Path(short) / "agent.sock"
        agent.bind(str(target))
        agent.listen()
        agent.settimeout(0.5)
        local = Path(short) / "local.sock"
        argv = job.ssh("-o", "BatchMode=yes", "-N", "-L", f"{local}:{target}")
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        job.processes.append(process)
        until_sync(local.exists, what="the job's own end")
        with socket.socket(socket.AF_UNIX) as mine:
            mine.connect(str(local))
            until_sync(lambda: "refused a connection to" in relay.log, what="the refusal")
        with pytest.raises(TimeoutError):
            agent.accept()


def test_an_older_attempt_is_cut_and_its_key_is_not_taken_again(
    relay: Running, job: ConnectedJob, tmp_path: Path
) -> None:
    assert job.enrol()
    tunnel = job.open_tunnel()
    until_sync(lambda: listening(relay), what="the first tunnel")
    newer = relay.job(tmp_path, number=2)
    assert tunnel.wait(30) != 0
    assert job.open_tunnel().wait(30) != 0
    assert newer.enrol()
    newer.open_tunnel()
    until_sync(lambda: listening(relay), what="the second tunnel")
    newer.close()
    until_sync(lambda: not listening(relay), what="nothing left of it")


def test_a_stranger_that_answers_in_the_relays_place_is_refused(relay: Running, job: ConnectedJob) -> None:
    (job.folder / "known_hosts").write_text(f"wsdash-relay {public_key(relay.folder.user_key)}\n")
    assert "Host key verification failed" in job.refused("-N")


def test_after_a_crash_of_the_relay_the_key_still_counts_and_nothing_is_proven_again(
    relay: Running, job: ConnectedJob
) -> None:
    assert job.enrol()
    tunnel = job.open_tunnel()
    until_sync(lambda: listening(relay), what="the first tunnel")
    port, before = relay.port, relay.pid
    os.kill(before, signal.SIGKILL)
    assert tunnel.wait(30) != 0
    until_sync(lambda: relay.pid != before, what="the relay again")
    assert relay.port == port
    job.open_tunnel()
    with socket.socket(socket.AF_UNIX) as user:

        def reached() -> bool:
            try:
                user.connect(str(relay.folder.socket("w1")))
            except OSError:
                return False
            return True

        until_sync(reached, what="the tunnel again")


def test_a_second_relay_leaves_at_once(relay: Running) -> None:
    first = relay.port
    argv = [sys.executable, "-m", "wsdash.backend.access.relay"]
    argv += [str(relay.folder.root), "127.0.0.1", "0", ""]
    assert subprocess.run(argv, timeout=30, check=False).returncode == 0
    assert relay.port == first


@pytest.mark.long
def test_who_says_nothing_is_let_go(relay: Running) -> None:
    with socket.create_connection(("127.0.0.1", relay.port)) as silent:
        silent.settimeout(30)
        began = time.monotonic()
        while silent.recv(1024):
            pass
        assert time.monotonic() - began < 25


def test_two_hundred_lines_at_once_each_lead_to_their_own_job(relay: Running, tmp_path: Path) -> None:
    """Jobs that have enrolled before, as after a crash of the relay: all of them reconnect at once."""
    server, port = echo_server()
    first = relay.job(tmp_path / "lines", "l0")
    assert first.enrol()
    kept = relay.grants.of_workspace("l0")
    assert kept is not None
    try:
        for number in range(200):
            name = f"l{number}"
            relay.grants.write(replace(kept, workspace_id=name, attempt_id=f"{name}.a1"))
            argv = first.ssh(
                "-N", "-R", f"/wsdash/{name}:127.0.0.1:{port}", "-o", "BatchMode=yes", user=f"{name}.a1"
            )
            keep = ["sh", "-c", 'until "$@"; do sleep 0.5; done', "sh", *argv]
            first.processes.append(
                subprocess.Popen(
                    keep, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
                )
            )
        until_sync(lambda: all(listening(relay, f"l{number}") for number in range(200)), 120, "all the lines")
        for number in (0, 99, 199):
            with socket.socket(socket.AF_UNIX) as user:
                user.connect(str(relay.folder.socket(f"l{number}")))
                there, _ = server.accept()
                user.sendall(b"ping")
                assert there.recv(4) == b"ping"
                there.close()
    finally:
        for process in first.processes:
            os.killpg(process.pid, signal.SIGKILL)
        first.close()
        server.close()


def test_the_users_ssh_reaches_the_workspace_and_knows_it_by_its_key(
    relay: Running, job: ConnectedJob
) -> None:
    assert job.enrol()
    port = job.sshd(public_key(relay.folder.user_key))
    job.open_tunnel(target=f"127.0.0.1:{port}")
    until_sync(lambda: listening(relay), what="the socket")
    done = _ssh(relay, "echo hello; exit 3")
    assert (done.stdout, done.returncode) == ("hello\n", 3), done.stderr
    known = relay.folder.known_hosts
    known.write_text(f"{alias_of('w1')} {public_key(relay.folder.user_key)}\n")
    assert "Host key verification failed" in _ssh(relay, "true").stderr


@pytest.mark.skipif(SSHD is None, reason="sshd is not installed")
def test_fifty_sessions_at_once(relay: Running, job: ConnectedJob) -> None:
    assert job.enrol()
    port = job.sshd(public_key(relay.folder.user_key))
    job.open_tunnel(target=f"127.0.0.1:{port}")
    until_sync(lambda: listening(relay), what="the socket")
    until_sync(lambda: _ssh(relay, "true").returncode == 0, what="the sshd")
    sessions = [
        subprocess.Popen(_argv(relay, f"head -c 4; echo {n}"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for n in range(50)
    ]
    for number, session in enumerate(sessions):
        out, _ = session.communicate(b"ping", timeout=120)
        assert out == f"ping{number}\n".encode()


def _argv(relay: Running, command: str) -> list[str]:
    """Its proxy command is started by the shell in SHELL, as `RelayClient` has it."""
    helper = shlex.join(
        [sys.executable, "-S", "-E", proxy_command.__file__, str(relay.folder.socket("w1")), "w1"]
    )
    options = {
        "ProxyCommand": helper,
        "ProxyUseFdpass": "yes",
        "HostKeyAlias": alias_of("w1"),
        "UserKnownHostsFile": str(relay.folder.known_hosts),
        "GlobalKnownHostsFile": str(relay.folder.known_hosts),
        "StrictHostKeyChecking": "yes",
        "IdentityFile": str(relay.folder.user_key),
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
    }
    named = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    return ["env", "SHELL=/bin/sh", "ssh", "-F", "/dev/null", *named, "w1.wsdash", command]


def _ssh(relay: Running, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _argv(relay, command),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
