"""`wsdash code` with stand-ins for the editors, which cannot be installed here: they record their arguments.

The sources of the arguments are named in `wsdash/backend/access/ssh/desktop_editors.py`.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.backend.access.conftest import SSHD
from tests.commands.test_contracts import validate
from tests.conftest import Command
from tests.repositories import make_repository
from tests.waiting import until_sync
from wsdash.backend.access.ssh.desktop_editors import DESKTOP_EDITORS
from wsdash.paths import Paths

SSH = shutil.which("ssh")
pytestmark = [
    pytest.mark.usefixtures("leaves_nothing_running", "plain_jobs"),
    pytest.mark.skipif(SSHD is None or SSH is None, reason="OpenSSH is not installed"),
]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the front of PATH, with an ssh that reads the configuration of the test's home; and a display."""
    folder = tmp_path / "programs"
    folder.mkdir()
    home = tmp_path / "user"
    home.mkdir()
    put(folder, "ssh", f'exec {SSH} -F {shlex.quote(str(home / ".ssh" / "config"))} "$@"')
    (home / ".ssh").mkdir()
    (home / ".ssh" / "config").touch()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    return folder


@pytest.fixture
def web(wsdash: Command, tmp_path: Path) -> str:
    """The folder of a running workspace as its shells see it."""
    assert wsdash("create", str(make_repository(tmp_path / "web")), "--wait").returncode == 0
    return wsdash("ssh", "web", "--", "pwd").stdout.strip()


def put(folder: Path, name: str, line: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{line}\n")
    (folder / name).chmod(0o755)


def records(folder: Path, name: str) -> Path:
    """Put a stand-in that writes each of its arguments on a line."""
    record = folder / f"{name}.arguments"
    put(folder, name, f"printf '%s\\n' \"$@\" >{shlex.quote(str(record))}")
    return record


def arguments(record: Path) -> list[str]:
    until_sync(record.exists, what="the editor was started")
    return record.read_text().splitlines()


def test_the_first_editor_on_the_path_opens_the_folder_by_our_ssh_name(
    wsdash: Command, programs: Path, web: str
) -> None:
    assert wsdash("ssh-config", "install", "--yes").returncode == 0
    record = records(programs, "zeditor")
    done = wsdash("code", "web")
    assert (done.returncode, done.stdout) == (0, "Zed opens web.\n"), done.stderr
    assert arguments(record) == [f"ssh://web.wsdash{web}"]
    entered = subprocess.run(["ssh", "web.wsdash", f"cat {web}/greeting.txt"], capture_output=True, text=True)
    assert entered.stdout == "hello from web\n", entered.stderr


def test_an_option_or_the_settings_choose_the_editor(
    wsdash: Command, programs: Path, web: str, paths: Paths
) -> None:
    assert wsdash("ssh-config", "install", "--yes").returncode == 0
    for name in DESKTOP_EDITORS:
        records(programs, name)
    paths.config_file.parent.mkdir(parents=True, exist_ok=True)
    paths.config_file.write_text('[personal]\neditor = "cursor"\n')
    assert wsdash("code", "web").stdout == "Cursor opens web.\n"
    assert arguments(programs / "cursor.arguments") == [
        "--folder-uri",
        f"vscode-remote://ssh-remote+web.wsdash{web}",
    ]
    assert wsdash("code", "web", "--editor", "windsurf").stdout == "Windsurf opens web.\n"
    paths.config_file.write_text('[personal]\neditor = "emacs"\n')
    refused = wsdash("code", "web")
    assert refused.returncode == 1
    assert "personal.editor has a wrong value. It takes one of code, codium" in refused.stderr


def test_without_an_editor_it_says_what_it_looked_for_and_what_to_do(wsdash: Command, programs: Path) -> None:
    done = wsdash("code", "web", "--editor", "gateway")
    assert done.returncode == 1
    assert (
        "JetBrains Gateway is not on the PATH (looked for: gateway, jetbrains-gateway, gateway.sh)"
        in done.stderr
    )
    assert "--print" in done.stderr


def test_an_editor_that_fails_is_reported_with_the_place_of_its_output(
    wsdash: Command, programs: Path, web: str
) -> None:
    assert wsdash("ssh-config", "install", "--yes").returncode == 0
    put(programs, "codium", "echo no display; exit 3")
    done = wsdash("code", "web", "--editor", "codium")
    assert done.returncode == 1 and "VSCodium ended with 3" in done.stderr
    log = Path(done.stderr.partition("Its output is in ")[2].strip().rstrip("."))
    assert log.read_text() == "no display\n"


def test_the_ssh_configuration_is_asked_for_on_a_terminal_and_named_without(
    wsdash: Command, programs: Path, web: str, tmp_path: Path
) -> None:
    record = records(programs, "code")
    done = wsdash("code", "web", "--editor", "code")
    assert done.returncode == 1 and "`wsdash ssh-config install`" in done.stderr
    assert not record.exists()
    asked = pexpect.spawn(sys.executable, ["-m", "wsdash", "code", "web", "--editor", "code"], timeout=60)
    asked.expect_exact("Add it? [y/N]")
    asked.sendline("y")
    asked.expect_exact("VS Code opens web.")
    asked.expect(pexpect.EOF)
    assert arguments(record)[1].endswith(web)
    assert "Include" in (tmp_path / "user" / ".ssh" / "config").read_text()


def test_in_an_ssh_session_the_line_is_for_the_machine_of_the_user(
    wsdash: Command, programs: Path, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = records(programs, "code")
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.7 51234 10.0.0.1 2222")
    done = wsdash("code", "web")
    assert done.returncode == 0, done.stderr
    assert "code --folder-uri vscode-remote://ssh-remote+" in done.stdout
    assert "wsdash ssh-config remote" in done.stdout and "ssh -p 2222 " in done.stdout
    about: Any = validate("code", wsdash("code", "web", "--editor", "zed", "--json").stdout)
    assert about["folder"] == web
    assert shlex.split(about["command"]) == ["zed", f"ssh://{about['user']}@web.wsdash{web}"]
    assert not record.exists()


def test_a_workspace_that_is_stopped_says_so_and_is_not_started(
    wsdash: Command, programs: Path, web: str
) -> None:
    assert wsdash("stop", "web", "--wait").returncode == 0
    done = wsdash("code", "web", "--print")
    assert done.returncode == 1 and "web is stopped" in done.stderr
    assert json.loads(wsdash("list", "--json").stdout)[0]["phase"] == "stopped"
