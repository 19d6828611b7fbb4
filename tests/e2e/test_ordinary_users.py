"""The way in for people who are not root and have another login name than the job.

Their start-up files and their ssh configuration know nothing of wsdash.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.backend.access.conftest import SSHD
from tests.conftest import end_processes_of
from tests.e2e.gitlab_work import DEVFILE, PATIENCE_S, Work, working
from tests.gitlab_runner import Runner
from tests.ordinary_users import FOR_EVERY_HOST, OrdinaryUser, change_users, ordinary_user
from tests.waiting import until_sync

pytestmark = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None, reason="OpenSSH is not installed"
)


@pytest.fixture
def user() -> Iterator[OrdinaryUser]:
    with ordinary_user() as user:
        yield user


@pytest.fixture
def jobs_user() -> Iterator[OrdinaryUser]:
    with ordinary_user() as user:
        yield user


@pytest.fixture
def work(user: OrdinaryUser, jobs_user: OrdinaryUser, tmp_path: Path) -> Iterator[Work]:
    """A user, and a runner whose jobs are another one's."""

    def make_runner(url: str, token: str, _: Path) -> Runner:
        folder = jobs_user.folder / "runner"
        folder.mkdir()
        shutil.chown(folder, jobs_user.name, jobs_user.name)
        return Runner(url, token, folder, within=jobs_user.command([]))

    with working(tmp_path, user.paths, make_runner, whose=user) as work:
        text = user.paths.config_file.read_text()
        user.paths.config_file.write_text(text.replace("[policy]\n", "[policy]\ncheckpoint_s = 1\n"))
        yield work
    end_processes_of(user.folder)
    end_processes_of(jobs_user.folder)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that the user's configuration would forward to every host, and cannot."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def ssh_of(user: OrdinaryUser, taken: int) -> None:
    """Their ssh configuration, which has wsdash's line in it from now on."""
    file = user.home / ".ssh/config"
    user.run(
        "sh",
        "-c",
        'umask 077; mkdir -p "${1%/*}"; cat >"$1"',
        "-",
        str(file),
        given=FOR_EVERY_HOST.format(taken=taken),
    )
    user.run(sys.executable, "-m", "wsdash", "ssh-config", "install", "--yes")


def is_entered_by_name(user: OrdinaryUser, name: str, *, login: str) -> None:
    """By ssh, by scp in both of its ways, and by sftp; exactly what is asked for comes back."""
    assert user.run("ssh", name, "id -un; echo it\\'s $0").stdout == f"{login}\nit's sh\n"
    assert (
        user.run("ssh", name, "cat >'a file'; wc -c <'a file'", given="x" * 300_000).stdout.strip()
        == "300000"
    )
    user.run("ssh", name, "exit 7", code=7)
    here = user.home / "what comes back"
    user.run("mkdir", str(here))
    user.run("scp", "-q", f"{name}:a file", str(here))
    assert (here / "a file").read_text() == "x" * 300_000
    user.run("scp", "-q", "-O", str(user.home / ".ssh/config"), f"{name}:brought")
    user.run("sftp", "-q", "-b", "-", name, given=f'get brought "{here}/brought"\n')
    assert (here / "brought").read_text() == (user.home / ".ssh/config").read_text()


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(b"GET /devfile.yaml HTTP/1.0\r\n\r\n")
        return DEVFILE.encode() in b"".join(iter(lambda: line.recv(4096), b""))
    return False


def test_a_workspace_of_a_gitlab_is_entered_and_saved_and_goes_on_after_a_log_out(
    work: Work, user: OrdinaryUser, jobs_user: OrdinaryUser, taken: int
) -> None:
    work.create()
    assert work.run("ssh", "app", "--", "id", "-un") == f"{jobs_user.name}\n"
    assert work.run("ssh", "app", "--", "printf", "%s|", "a b", "$HOME", "it's") == "a b|$HOME|it's|"
    ssh_of(user, taken)
    is_entered_by_name(user, "app.wsdash", login=jobs_user.name)

    user.log_out()
    assert work.run("ssh", "app", "--", "echo", "again") == "again\n"
    assert user.run("ssh", "app.wsdash", "echo again").stdout == "again\n"
    until_sync(
        lambda: "up: it transports heartbeats" in work.run("show", "app"),
        PATIENCE_S,
        "heartbeats by the line",
    )

    work.run(
        "ssh",
        "app",
        "--",
        "sh",
        "-c",
        "python3 -u -m http.server --bind 127.0.0.1 0 >~/said 2>&1 </dev/null &",
    )
    port = until_sync(
        lambda: work.run(
            "ssh", "app", "--", "sh", "-c", "sed -n 's/.*port \\([0-9]*\\).*/\\1/p' ~/said"
        ).strip()
    )
    with socket.create_server(("127.0.0.1", 0)) as probe:
        here = probe.getsockname()[1]
    argv = [sys.executable, "-m", "wsdash", "ports", "app", "--forward", f"{port}:{here}"]
    with subprocess.Popen(user.command(argv), stderr=subprocess.DEVNULL) as forwarding:
        try:
            until_sync(lambda: answers(here), PATIENCE_S, "the forwarded port")
        finally:
            forwarding.terminate()

    work.run("ssh", "app", "--", "sh", "-c", "echo precious >notes.txt")
    before = work.row()["saved_at"]
    until_sync(lambda: work.row()["saved_at"] not in (None, before), PATIENCE_S, "a checkpoint by the tunnel")
    work.run("restart", "app", "--wait")
    assert work.run("ssh", "app", "--", "cat", "notes.txt") == "precious\n"
    work.run("stop", "app", "--wait")
    work.run("start", "app", "--wait")
    assert user.run("ssh", "app.wsdash", "cat notes.txt").stdout == "precious\n"
    work.run("delete", "app", "--yes", "--wait", "--keep-work")
    (script,) = (user.paths.state / "kept").glob("app-*/restore.sh")
    back = user.home / "what is restored"
    user.run("mkdir", str(back))
    user.run("sh", "-c", 'cd "$1" && sh "$2"', "-", str(back), str(script))
    assert (back / "notes.txt").read_text() == "precious\n"


@pytest.mark.short
def test_a_workspace_on_this_machine_is_entered_and_goes_on_after_a_log_out(
    user: OrdinaryUser, taken: int
) -> None:
    def wsdash(*arguments: str) -> str:
        return user.run(sys.executable, "-m", "wsdash", *arguments).stdout

    wsdash("create", "--no-source", "--name", "web", "--yes", "--wait")
    assert wsdash("ssh", "web", "--", "printf", "%s|", "a b", "$HOME", "it's") == "a b|$HOME|it's|"
    ssh_of(user, taken)
    is_entered_by_name(user, "web.wsdash", login=user.name)
    for shell in filter(None, map(shutil.which, ("zsh", "fish", "tcsh"))):
        change_users("usermod", "-s", shell, user.name)
        second = user.run("ssh", "-o", "ControlPath=none", "web.wsdash", "echo in")
        assert second.stdout == "in\n" and "HOME" not in second.stderr, (shell, second.stderr)
    user.log_out()
    assert wsdash("ssh", "web", "--", "echo", "again") == "again\n"
    assert user.run("ssh", "web.wsdash", "echo again").stdout == "again\n"
    wsdash("ssh", "web", "--", "sh", "-c", "echo precious >notes.txt")
    wsdash("restart", "web", "--wait")
    assert wsdash("ssh", "web", "--", "cat", "notes.txt") == "precious\n"
    wsdash("stop", "web", "--wait")
    wsdash("start", "web", "--wait")
    assert user.run("ssh", "web.wsdash", "cat notes.txt").stdout == "precious\n"
    wsdash("delete", "web", "--yes", "--wait")
    end_processes_of(user.folder)
