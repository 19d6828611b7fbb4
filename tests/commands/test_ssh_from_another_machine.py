"""`wsdash ssh-config remote`: another home uses the printed lines with the real ssh, through a real sshd."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.backend.access.conftest import SSHD
from tests.conftest import Command
from tests.repositories import make_repository
from tests.waiting import until_sync
from wsdash.backend.access.keys import public_key, write_key
from wsdash.backend.access.ssh.config import stanza_elsewhere

SSH, SCP = shutil.which("ssh"), shutil.which("scp")
pytestmark = [
    pytest.mark.usefixtures("leaves_nothing_running", "plain_jobs"),
    pytest.mark.skipif(SSHD is None or SSH is None or SCP is None, reason="OpenSSH is not installed"),
]


@contextmanager
def jump_host(folder: Path, key: str) -> Iterator[int]:
    """An sshd of this user on 127.0.0.1, as the system's on a jump host. Yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    write_key(folder / "host_key")
    (folder / "keys").write_text(f"{key}\n")
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host_key\nAuthorizedKeysFile {folder}/keys\n"
        "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
        "SetEnv SHLVL=1\n"  # so that bash does not read the start-up files of whoever runs the tests
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
        try:
            until_sync(lambda: answers(port), what="sshd answers")
            yield port
        finally:
            process.terminate()
            process.wait(10)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def second_home(home: Path, port: int, host_key: str) -> dict[str, str]:
    """A home with a key for the jump host, and programs that read the configuration in it instead of the real one's."""
    programs, own = home / "programs", home / ".ssh"
    for folder in (programs, own):
        folder.mkdir(parents=True, exist_ok=True)
    for program, path in (("ssh", SSH), ("scp", SCP)):
        (programs / program).write_text(f'#!/bin/sh\nexec {path} -F "$HOME/.ssh/config" "$@"\n')
        (programs / program).chmod(0o755)
    (own / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    (own / "config").write_text(
        f'Host *\n    RemoteCommand uptime\n    IdentityFile "{own}/id"\n    UserKnownHostsFile "{own}/known_hosts"\n'
    )
    return {"HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}"}


def run(env: dict[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, env=env, check=False
    )


def test_the_printed_lines_and_commands_lead_through_this_machine(
    wsdash: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wsdash("create", str(make_repository(tmp_path / "web")), "--wait").returncode == 0
    home = tmp_path / "laptop"
    (home / ".ssh").mkdir(parents=True)
    write_key(home / ".ssh" / "id")
    with jump_host(tmp_path, public_key(home / ".ssh" / "id")) as port:
        env = second_home(home, port, public_key(tmp_path / "host_key"))
        monkeypatch.setenv("SSH_CONNECTION", f"127.0.0.1 40000 127.0.0.1 {port}")
        printed = wsdash("ssh-config", "remote")
        assert printed.returncode == 0, printed.stderr
        copies = re.findall(r"^#   (scp .*)$", printed.stdout, flags=re.MULTILINE)
        assert len(copies) == 2
        for line in copies:
            copied = run(env, "sh", "-c", line.replace("scp ", "scp -o RemoteCommand=none ", 1))
            assert copied.returncode == 0, copied.stderr
        # ssh takes `~` for the home of the password file, whatever HOME is.
        own = home / ".ssh" / "config"
        own.write_text(printed.stdout.replace("~/.ssh/", f"{home}/.ssh/") + own.read_text())
        done = run(env, "ssh", "-o", "BatchMode=yes", "web.wsdash", "cat greeting.txt; exit 3")
        assert (done.returncode, done.stdout) == (3, "hello from web\n"), done.stderr
        missing = run(env, "ssh", "-o", "BatchMode=yes", "nobody.wsdash", "true")
        assert missing.returncode == 255 and "there is no workspace nobody" in missing.stderr


def test_a_name_is_one_word_of_both_shells_that_it_passes(tmp_path: Path) -> None:
    file = tmp_path / "config"
    way = ["ssh", "-p", "2222", f"{getpass.getuser()}@10.0.0.1"]
    environ = {"WSDASH_HOME": "/home/ada lovelace/it's 100%"}
    file.write_text(stanza_elsewhere(way, environ, "ada"))
    options = run({}, str(SSH), "-G", "-F", str(file), "web.wsdash").stdout
    (command,) = re.findall(r"^proxycommand (.*)$", options, flags=re.MULTILINE)
    words = shlex.split(command.replace("%%", "%").replace("%n", "$(touch x);web.wsdash"))
    assert words[: 1 + 5] == ["ssh", "-T", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes"]
    assert words[6:9] == way[1:]
    inner = shlex.split(words[9])
    assert inner[:2] == ["env", "WSDASH_HOME=/home/ada lovelace/it's 100%"]
    assert inner[-2:] == ["connect", "$(touch x);web.wsdash"]
    assert "proxycommand" not in run({}, str(SSH), "-G", "-F", str(file), "a'b.wsdash").stdout
