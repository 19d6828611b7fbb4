"""Where the sockets of tunnels are: nobody else can take the place, no environment tells it, and they come back."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.access.conftest import ConnectedJob, Running
from tests.waiting import until_sync
from wsdash.backend.access import proxy_command
from wsdash.backend.access.relay_client import RelayClient
from wsdash.config.settings import Access
from wsdash.paths import Paths


@pytest.fixture
def job(relay: Running, tmp_path: Path) -> Iterator[ConnectedJob]:
    found = relay.job(tmp_path, name="web")
    assert found.enrol()
    found.open_tunnel()
    until_sync(lambda: relay.folder.socket("w1").exists(), 30, "the tunnel")
    yield found
    found.close()


def is_reachable(relay: Running) -> bool:
    with socket.socket(socket.AF_UNIX) as user:
        try:
            user.connect(str(relay.folder.socket("w1")))
        except OSError:
            return False
        return True


@pytest.mark.parametrize("what", ["the socket", "the folder"])
def test_what_was_removed_comes_back_by_itself_for_a_tunnel_that_is_up(
    relay: Running, job: ConnectedJob, what: str
) -> None:
    """As by a log-out, after which a folder of the session is gone."""
    if what == "the folder":
        shutil.rmtree(relay.folder.sockets)
    else:
        relay.folder.socket("w1").unlink()
    until_sync(lambda: is_reachable(relay), 30, "the socket again")
    assert relay.folder.named("web").resolve() == relay.folder.socket("w1")
    assert job.processes[0].poll() is None, "the tunnel itself was ended"


def test_without_the_folder_a_job_is_let_in(relay: Running, tmp_path: Path) -> None:
    job = relay.job(tmp_path)
    assert job.enrol()
    shutil.rmtree(relay.folder.sockets)
    job.open_tunnel()
    until_sync(lambda: is_reachable(relay), 30, "the tunnel")
    job.close()


def test_a_relay_that_starts_removes_the_sockets_of_one_that_was_killed(relay: Running) -> None:
    relay.close()
    gone = relay.folder.socket("gone")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(gone))
    relay.folder.named("web").symlink_to(gone.name)
    shared = relay.folder.sockets / "c-0123"  # one of ssh's own
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(shared))
    relay.start()
    assert [file.name for file in relay.folder.sockets.iterdir()] == [shared.name]


@pytest.mark.parametrize("runtime", ["/nonexistent", ""], ids=["another session", "no session"])
def test_a_shell_with_another_environment_finds_the_tunnel(
    relay: Running, job: ConnectedJob, tmp_path: Path, runtime: str
) -> None:
    script = (
        "import sys; from pathlib import Path; from wsdash.backend.access.paths import AccessFolder;"
        "print(AccessFolder(Path(sys.argv[1])).socket('w1'))"
    )
    env = {"PATH": os.environ["PATH"], **({"XDG_RUNTIME_DIR": runtime} if runtime else {})}
    argv = [sys.executable, "-c", script, str(relay.folder.root)]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(relay.folder.socket("w1"))


def test_the_longest_name_of_a_workspace_is_found_by_its_link_and_bytes_are_carried(
    relay: Running, tmp_path: Path
) -> None:
    name = "n" * 63
    job = relay.job(tmp_path, name=name)
    assert job.enrol()
    with socket.create_server(("127.0.0.1", 0)) as server:
        job.open_tunnel(target=f"127.0.0.1:{server.getsockname()[1]}")
        until_sync(lambda: relay.folder.named(name).exists(), 30, "the tunnel")
        argv = [
            sys.executable,
            "-S",
            "-E",
            proxy_command.__file__,
            "--in",
            str(relay.folder.root),
            f"{name}.wsdash",
        ]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as helper:
            assert helper.stdin is not None and helper.stdout is not None
            there, _ = server.accept()
            with there:
                there.sendall(b"from there")
                assert helper.stdout.read(10) == b"from there"
                helper.stdin.write(b"from here")
                helper.stdin.flush()
                assert there.recv(9, socket.MSG_WAITALL) == b"from here"
            assert helper.wait(60) == 0, "it outlived the far end"
    job.close()


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
