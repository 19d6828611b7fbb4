"""Programs that people use over `ssh NAME.wsdash`, as they start it: copies, Git, and the servers of editors."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.backend.access.conftest import SSHD
from tests.conftest import Command
from tests.waiting import until_sync

CODE_SERVER = shutil.which("code-server")
pytestmark = [
    pytest.mark.usefixtures("leaves_nothing_running", "plain_jobs"),
    pytest.mark.skipif(SSHD is None or shutil.which("ssh") is None, reason="OpenSSH is not installed"),
]
BOOTSTRAP = """
echo "a1b2: running"
uname -sm
mkdir -p "$HOME/.editor-server" && cd "$HOME/.editor-server" || exit 1
nohup {server} >log 2>&1 </dev/null &
echo $! >pid
tries=0
until port=$(sed -n 's/.*127.0.0.1:\\([0-9]*\\).*/\\1/p' log | head -n 1) && [ -n "$port" ] || [ $tries = 600 ]; do
  sleep 0.1; tries=$((tries + 1))
done
echo "listeningOn==$port=="
echo "a1b2: end"
while read -r line; do echo "$line"; done
"""
"""In the order of Remote-SSH: its script comes on standard input, the session stays open while the editor does."""
PYTHON_SERVER = (
    f'{sys.executable} -u -c \'import http.server as h; s = h.HTTPServer(("127.0.0.1", 0), '
    'h.SimpleHTTPRequestHandler); print("on 127.0.0.1:%d" % s.server_port); s.serve_forever()\''
)


@pytest.fixture
def config(wsdash: Command, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's ssh configuration with wsdash's line in it; the workspace `web` runs."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    (tmp_path / "user").mkdir()
    assert wsdash("ssh-config", "install", "--yes").returncode == 0
    assert wsdash("create", str(repository), "--wait").returncode == 0
    return tmp_path / "user" / ".ssh" / "config"


def run(*argv: str, given: str = "") -> str:
    done = subprocess.run(argv, input=given, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inside(config: Path, line: str) -> str:
    return run("ssh", "-F", str(config), "-o", "BatchMode=yes", "web.wsdash", line)


def test_scp_copies_folders_in_both_directions_by_both_protocols(config: Path, tmp_path: Path) -> None:
    source = tmp_path / "a folder"
    source.mkdir()
    (source / "größe.txt").write_text("42\n")
    for name, protocol in (("new", []), ("old", ["-O"])):
        run("scp", "-q", "-r", *protocol, "-F", str(config), str(source), f"web.wsdash:{name}")
        assert inside(config, f"cat {name}/größe.txt") == "42\n"
        run("scp", "-q", "-r", *protocol, "-F", str(config), f"web.wsdash:{name}", str(tmp_path / name))
        assert (tmp_path / name / "größe.txt").read_text() == "42\n"


def test_sftp_brings_a_program_that_then_runs(config: Path, tmp_path: Path) -> None:
    """As JetBrains Gateway does: upload by sftp, run by a second session."""
    (tmp_path / "backend.sh").write_text("echo backend of $1\n")
    program = '"my ide/backend.sh"'
    batch = f'mkdir "my ide"\nput {tmp_path}/backend.sh {program}\nchmod 755 {program}\nls -l "my ide"\n'
    listed = run("sftp", "-q", "-b", "-", "-F", str(config), "web.wsdash", given=batch)
    assert "-rwxr-xr-x" in listed
    assert inside(config, "sh 'my ide/backend.sh' web") == "backend of web\n"


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")
def test_rsync_updates_and_removes(config: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("kept", "removed"):
        (source / name).write_text(name)
    argv = ("rsync", "-a", "--delete", "-e", f"ssh -F '{config}'", f"{source}/", "web.wsdash:copy/")
    run(*argv)
    (source / "removed").unlink()
    (source / "kept").write_text("changed")
    run(*argv)
    assert inside(config, "ls copy; cat copy/kept") == "kept\nchanged"


def test_git_clones_and_pushes(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", f"ssh -F '{config}'")
    folder = inside(config, "pwd").strip()
    clone = tmp_path / "clone"
    run("git", "clone", "-q", f"web.wsdash:{folder}", str(clone))
    assert run("git", "-C", str(clone), "ls-files") == inside(config, "git ls-files") != ""
    (clone / "new.txt").write_text("pushed\n")
    run("git", "-C", str(clone), "add", ".")
    run("git", "-C", str(clone), "commit", "-q", "-m", "New")
    run("git", "-C", str(clone), "push", "-q", "origin", "HEAD:refs/heads/new")
    assert inside(config, "git show new:new.txt") == "pushed\n"


@contextmanager
def bootstrapped(config: Path, server: str) -> Iterator[tuple[int, int]]:
    """Run the bootstrap of Remote-SSH. Yields the port of SOCKS here, and the one of the server in the workspace."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        socks: int = free.getsockname()[1]
    argv = ["ssh", "-F", str(config), "-T", "-D", str(socks), "-o", "ConnectTimeout=15", "web.wsdash", "bash"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as ssh:
        assert ssh.stdin is not None and ssh.stdout is not None
        ssh.stdin.write(BOOTSTRAP.format(server=server))
        ssh.stdin.flush()
        lines = [ssh.stdout.readline()]
        while lines[-1] not in ("", "a1b2: end\n"):
            lines.append(ssh.stdout.readline())
        assert lines[0] == "a1b2: running\n", lines
        (port,) = re.findall(r"listeningOn==(\d+)==", "".join(lines))
        ssh.stdin.write("still here\n")
        ssh.stdin.flush()
        assert ssh.stdout.readline() == "still here\n"
        yield socks, int(port)
        ssh.stdin.close()
        assert ssh.wait(30) == 0


def get(socks: int, port: int) -> str:
    """The first line of the server's answer, by SOCKS 5 (RFC 1928)."""
    with socket.create_connection(("127.0.0.1", socks), 30) as line:
        line.sendall(b"\x05\x01\x00")
        assert line.recv(2) == b"\x05\x00"
        line.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
        assert line.recv(10)[1] == 0
        line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return line.makefile("rb").readline().decode().strip()


@pytest.mark.parametrize(
    "server",
    [
        PYTHON_SERVER,
        pytest.param(
            f"{CODE_SERVER} --auth none --bind-addr 127.0.0.1:0 --disable-update-check --disable-telemetry",
            marks=pytest.mark.skipif(
                CODE_SERVER is None, reason="code-server is not installed: make e2e does it"
            ),
        ),
    ],
    ids=["stand-in", "code-server"],
)
def test_an_editors_server_is_started_and_outlives_the_connection(
    wsdash: Command, config: Path, server: str
) -> None:
    with bootstrapped(config, server) as (socks, port):
        assert get(socks, port).startswith("HTTP/1.") and " 5" not in get(socks, port)
    pid = int(inside(config, 'cat "$HOME/.editor-server/pid"'))
    assert Path(f"/proc/{pid}").exists()
    assert wsdash("delete", "web", "--yes", "--wait").returncode == 0
    until_sync(lambda: not Path(f"/proc/{pid}").exists())
