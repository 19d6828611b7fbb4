"""The files that the user's ssh configuration includes, as the user's own ssh reads them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.ssh import files as ssh_files
from wsdash.backend.access.ssh.config import stanza, users, with_include


@pytest.mark.parametrize(
    "name",
    ["a b", "it's", 'say "hi"', "100%", "$HOME", "[x] *?", "back\\slash", "ümlaut", "x" * 200],
)
def test_ssh_reads_it_in_any_home(tmp_path: Path, name: str) -> None:
    folder = AccessFolder(tmp_path / name / "access")
    folder.root.mkdir(parents=True)
    ssh_files.write_stanza(folder)
    folder.ssh_users.write_text(users({"web": "vscode"}))
    own = tmp_path / "config"
    own.write_text(with_include("Host *\n    User deploy\n    Port 2222\n", folder.ssh_config))
    assert ssh_files.overridden_by(own, folder) == {}
    argv = ["ssh", "-G", "-F", str(own), "web.wsdash"]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.replace("%%", "%")
    assert "user vscode\n" in printed
    assert f"identityfile {folder.user_key}\n" in printed
    assert f"userknownhostsfile {folder.known_hosts}\n" in printed


def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    folder = AccessFolder(tmp_path / "access")
    folder.root.mkdir()
    ssh_files.write_stanza(folder)
    (tmp_path / "tool").write_text("Host *\n    User deploy\n    ControlMaster auto\n")
    own = tmp_path / "config"
    own.write_text(f"Include {tmp_path / 'tool'}\n{with_include('', folder.ssh_config)}")
    found = ssh_files.overridden_by(own, folder)
    assert found == {"user": (ssh_files.own_login(), "deploy"), "controlmaster": ("false", "auto")}
    assert ssh_files.in_the_way(found) == "controlmaster auto, user deploy"


def test_a_configuration_that_an_earlier_version_has_installed_is_renewed_and_none_is_made(
    tmp_path: Path,
) -> None:
    folder = AccessFolder(tmp_path)
    ssh_files.renew_installed(folder)
    assert not folder.ssh_config.exists()
    folder.ssh_config.write_text("ProxyCommand /usr/bin/python3.9 /gone/wsdash/backend/access/connect.py\n")
    ssh_files.renew_installed(folder)
    assert folder.ssh_config.read_text() == stanza(folder, ssh_files.own_login())
