"""`wsdash ports` and `wsdash ssh-config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.waiting import until_sync
from wsdash import cli

pytestmark = pytest.mark.usefixtures("plain_jobs")


def test_ports_lists_the_endpoints_and_says_where_they_are(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--name", "web", "--wait").returncode == 0
    (port,) = json.loads(wsdash("ports", "web", "--json").stdout)
    assert (port["port"], port["declared"], port["listening"]) == (8080, True, False)
    assert wsdash("ports", "web").stdout.splitlines()[1].split()[0] == "8080"
    serve = "nohup python3 -m http.server 18080 --bind 127.0.0.1 >/dev/null 2>&1 &"
    assert wsdash("ssh", "web", "--", "sh", "-c", serve).returncode == 0

    def found() -> list[dict[str, object]]:
        ports = json.loads(wsdash("ports", "web", "--json").stdout)
        return [port for port in ports if port["port"] == 18080]

    until_sync(lambda: bool(found()), what="the server")
    assert found() == [
        {
            "name": None, "port": 18080, "protocol": None, "exposure": None, "path": None, "declared": False,
            "listening": True, "program": "python3", "loopback": True,
        }
    ]  # fmt: skip
    forwarded = wsdash("ports", "web", "--forward", "8080")
    assert (forwarded.returncode, "127.0.0.1:8080 directly" in forwarded.stderr) == (1, True)


def test_the_users_ssh_configuration_is_changed_once_and_only_after_yes(
    wsdash: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / ".ssh" / "config"
    config.parent.mkdir(mode=0o700)
    config.write_text("Host old\n    User me\n")
    assert wsdash("ssh-config", "install").returncode == 2
    assert config.read_text() == "Host old\n    User me\n"
    for _ in range(2):
        assert wsdash("ssh-config", "install", "--yes").returncode == 0
    assert config.read_text().count("Include") == 1
    assert "Host *.wsdash" in wsdash("ssh-config", "show").stdout
    assert wsdash("ssh-config", "uninstall").returncode == 0
    assert config.read_text() == "Host old\n    User me\n"


def test_nothing_of_the_users_configuration_is_changed_by_a_byte(
    wsdash: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    theirs = b"# caf\xe9\r\nHost old\r\n\tUser me\r\n\x0c\n# no end of line"
    real, link = tmp_path / "dotfiles" / "config", tmp_path / ".ssh" / "config"
    real.parent.mkdir()
    link.parent.mkdir(mode=0o700)
    real.write_bytes(theirs)
    real.chmod(0o640)
    link.symlink_to(real)
    assert wsdash("ssh-config", "install", "--yes").returncode == 0
    assert real.read_bytes().endswith(theirs)
    assert wsdash("ssh-config", "uninstall").returncode == 0
    assert real.read_bytes() == theirs
    assert link.is_symlink() and real.stat().st_mode & 0o777 == 0o640


def test_an_option_that_something_sets_before_the_line_of_wsdash_is_named(
    wsdash: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / ".ssh" / "config"
    config.parent.mkdir(mode=0o700)
    (tmp_path / "tool").write_text("Host *\n    User deploy\n")
    assert wsdash("ssh-config", "install", "--yes").returncode == 0
    config.write_text(f"Include {tmp_path / 'tool'}\n{config.read_text()}")
    refused = wsdash("ssh-config", "install", "--yes")
    assert (refused.returncode, "user deploy" in refused.stderr) == (1, True)
    assert "Host * !*.wsdash" in refused.stderr
    assert "user deploy" in wsdash("doctor").stdout
    (tmp_path / "tool").write_text("Host * !*.wsdash\n    User deploy\n")
    assert wsdash("ssh-config", "install", "--yes").returncode == 0


@pytest.mark.parametrize("port", ["x", "0", "65536", "8080:http", "-1", "80.5"])
def test_a_port_that_is_none_is_a_usage_error(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ports", "web", f"--forward={port}"]) == 2
    assert f"{port} is not a port" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["install", "uninstall"])
def test_a_configuration_of_ssh_that_is_no_text_is_left_alone(
    action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / ".ssh" / "config"
    config.parent.mkdir()
    config.write_bytes(b"\xff\xfe")
    assert cli.main(["ssh-config", action, "--yes"]) == 1
    assert f"{config} cannot be read" in capsys.readouterr().err
    assert config.read_bytes() == b"\xff\xfe"


def test_a_link_to_the_configuration_of_ssh_stays_a_link_and_keeps_its_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    real = tmp_path / "dotfiles"
    real.write_text("Host old\n")
    real.chmod(0o640)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").symlink_to(real)
    assert cli.main(["ssh-config", "install", "--yes"]) == 0
    assert (tmp_path / ".ssh" / "config").is_symlink()
    assert "\nInclude " in real.read_text().partition("Host old")[0]
    assert real.stat().st_mode & 0o777 == 0o640
