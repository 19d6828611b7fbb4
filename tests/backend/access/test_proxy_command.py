"""The proxy command finds a workspace's tunnel, and carries its bytes."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from tests.backend.access.conftest import ConnectedJob, Running
from tests.waiting import until_sync
from wsdash.backend.access import proxy_command


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


def listening(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    return server


def test_an_ssh_server_that_comes_back_is_waited_for(tmp_path: Path) -> None:
    """The tunnel accepts, and closes where nobody listens in the job."""
    greetings = iter([b"", b"", b"SSH-2.0-here"])
    with listening(tmp_path / "s") as tunnel:

        def answer() -> None:
            for greeting in greetings:
                there, _ = tunnel.accept()
                there.sendall(greeting)
                if not greeting:
                    there.close()

        Thread(target=answer, daemon=True).start()
        connection = proxy_command.connect(str(tmp_path / "s"))
        assert connection.recv(100) == b"SSH-2.0-here", "the greeting is left for ssh"
        assert connection.gettimeout() is None
        connection.close()


@pytest.mark.parametrize("closes", [True, False], ids=["it closes", "it says nothing"])
def test_a_tunnel_at_whose_end_nobody_greets_is_given_up(tmp_path: Path, closes: bool) -> None:
    with listening(tmp_path / "s") as tunnel:
        kept: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    there, _ = tunnel.accept()
                    there.close() if closes else kept.append(there)

        Thread(target=accept, daemon=True).start()
        with pytest.raises(TimeoutError):
            proxy_command.connect(str(tmp_path / "s"), patience_s=0.5)


def test_where_nobody_listens_it_says_so_at_once(tmp_path: Path) -> None:
    listening(tmp_path / "s").close()
    with pytest.raises(ConnectionRefusedError):
        proxy_command.connect(str(tmp_path / "s"))
