"""`ssh NAME.wsdash` into workspaces on this machine, with OpenSSH on both ends."""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pexpect
import pytest

from tests.backend.access.conftest import SSHD
from tests.conftest import Command
from tests.repositories import DEVFILE, make_repository
from wsdash.backend.access.ssh import local_sshd
from wsdash.paths import Paths

pytestmark = [
    pytest.mark.usefixtures("leaves_nothing_running"),
    pytest.mark.skipif(SSHD is None or shutil.which("ssh") is None, reason="OpenSSH is not installed"),
]


@pytest.fixture
def config(wsdash: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's ssh configuration, with wsdash's line in it."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    (tmp_path / "user").mkdir()
    assert wsdash("ssh-config", "install", "--yes").returncode == 0
    return tmp_path / "user" / ".ssh" / "config"


def ssh(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = ["ssh", "-F", str(config), "-o", "BatchMode=yes", *arguments]
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )


def test_ssh_and_scp_and_a_port_lead_into_a_workspace_and_ask_nothing(
    wsdash: Command, config: Path, tmp_path: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSDASH_GITLAB_TOKEN", "glpat-secret")
    assert wsdash("create", str(make_repository(tmp_path / "web")), "--wait").returncode == 0
    done = ssh(config, "web.wsdash", 'cat greeting.txt; echo "it\'s $GREETING"; exit 3')
    assert (done.returncode, done.stdout) == (3, "hello from web\nit's hello\n"), done.stderr
    (tmp_path / "new.txt").write_text("brought\n")
    copy = ["scp", "-q", "-F", str(config), "-o", "BatchMode=yes", str(tmp_path / "new.txt"), "web.wsdash:"]
    subprocess.run(copy, check=True, timeout=60)
    assert ssh(config, "web.wsdash", "cat new.txt").stdout == "brought\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        forward = f"{tmp_path}/here:127.0.0.1:{server.getsockname()[1]}"
        forwarding = pexpect.spawn(
            "ssh", ["-F", str(config), "-L", forward, "web.wsdash", "echo ready; cat"], timeout=60
        )
        forwarding.expect("ready")
        with socket.socket(socket.AF_UNIX) as here:
            here.connect(f"{tmp_path}/here")
            server.accept()[0].close()
        forwarding.close(force=True)
    kept = [
        file for file in paths.state.rglob("*") if file.is_file() and b"glpat-secret" in file.read_bytes()
    ]
    assert kept == []
    assert not (
        config.parent / "known_hosts"
    ).exists()  # what a workspace shows is known by wsdash's authority, not learnt


@pytest.mark.skipif(local_sshd.why_no_terminal() is not None, reason=str(local_sshd.why_no_terminal()))
def test_a_terminal_is_the_workspaces_own_shell(wsdash: Command, config: Path, tmp_path: Path) -> None:
    assert wsdash("create", str(make_repository(tmp_path / "web")), "--wait").returncode == 0
    shell = pexpect.spawn(
        "ssh", ["-F", str(config), "-t", "web.wsdash"], encoding="utf-8", timeout=60, dimensions=(30, 100)
    )
    shell.sendline("echo $((40 + 2)) $GREETING; [ -t 0 ] && stty size; exit 5")
    shell.expect("42 hello\r\n")
    shell.expect("30 100\r\n")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 5


def test_one_that_starts_is_waited_for_and_one_that_is_stopped_says_so_at_once(
    wsdash: Command, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSDASH_ISOLATION", "plain")  # its command looks at a file of this machine
    gate = tmp_path / "gate"
    slow = DEVFILE.replace("commandLine: ", f"commandLine: until [ -e {gate} ]; do sleep 0.1; done; ")
    repository = make_repository(tmp_path / "web", devfile=slow)
    assert wsdash("create", str(repository), "--yes").returncode == 0
    waiting = pexpect.spawn("ssh", ["-F", str(config), "web.wsdash", "echo in"], encoding="utf-8", timeout=60)
    waiting.expect("web: starting")
    gate.touch()
    waiting.expect("web: running")
    waiting.expect("in\r\n")
    waiting.expect(pexpect.EOF)
    assert wsdash("stop", "web", "--wait").returncode == 0
    assert "web is stopped" in _said(config, "web.wsdash")
    assert "`wsdash start web --wait` starts it" in _said(config, "web.wsdash")
    assert wsdash("list", "--json").stdout.count('"stopped"') > 0  # it was not started
    assert "there is no workspace nobody" in _said(config, "nobody.wsdash")


def test_a_workspace_that_was_made_again_is_entered_at_once(
    wsdash: Command, config: Path, tmp_path: Path
) -> None:
    first, second = make_repository(tmp_path / "first"), make_repository(tmp_path / "second")
    for repository in (first, second):
        assert wsdash("create", str(repository), "--name", "web", "--wait").returncode == 0
        assert f"hello from {repository.name}" in ssh(config, "web.wsdash", "cat greeting.txt").stdout
        assert wsdash("delete", "web", "--yes", "--wait").returncode == 0


def test_nothing_of_an_ssh_is_left_when_it_has_ended(wsdash: Command, config: Path, tmp_path: Path) -> None:
    assert wsdash("create", str(make_repository(tmp_path / "web")), "--wait").returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert ssh(config, "-L", f"127.0.0.1:{port}:127.0.0.1:9", "web.wsdash", "true").returncode == 0
    socket.create_server(("127.0.0.1", port)).close()
    line = f"ssh -F {shlex.quote(str(config))} web.wsdash 'echo in' 2>&1 | tail -n 1"
    piped = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=True)
    assert piped.stdout == "in\n"


def test_the_reason_is_one_line_of_standard_error_for_programs_too(
    wsdash: Command, config: Path, tmp_path: Path
) -> None:
    """Editors start ssh without a terminal."""
    assert wsdash("create", str(make_repository(tmp_path / "web")), "--wait").returncode == 0
    assert wsdash("stop", "web", "--wait").returncode == 0
    argv = ["setsid", "ssh", "-F", str(config), "-T", "web.wsdash", "bash"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 255
    (reason,) = [line for line in done.stderr.splitlines() if line.startswith("wsdash: ")]
    assert "web is stopped" in reason and "`wsdash start web --wait` starts it." in reason


def _said(config: Path, host: str) -> str:
    """The text on the terminal if ssh cannot enter."""
    asked = pexpect.spawn("ssh", ["-F", str(config), host, "true"], encoding="utf-8", timeout=60)
    asked.expect(pexpect.EOF)
    asked.close()
    assert asked.exitstatus == 255
    output: str = asked.before
    return output
