"""wsdash's files are the user's alone, whatever the umask, and files of others are refused."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsdash.config.settings import ConfigError, load_config
from wsdash.paths import PathError, Paths, make_folder

SOMEBODY = 12345
"""A uid that is not the user's."""


@pytest.fixture(params=[0o000, 0o002, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_each_folder_that_is_made_on_the_way_is_the_users_alone(tmp_path: Path) -> None:
    made = tmp_path / ".local" / "state" / "wsdash"
    make_folder(made)
    make_folder(made)
    assert {mode(path) for path in (made, made.parent, made.parent.parent)} == {0o700}


@pytest.mark.usefixtures("leaves_nothing_running")
def test_a_umask_that_takes_the_users_own_rights_locks_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSDASH_HOME", str(tmp_path))
    monkeypatch.setenv("WSDASH_ISOLATION", "plain")
    create = [sys.executable, "-m", "wsdash", "create", "--no-source", "--yes", "--wait"]
    subprocess.run(["sh", "-c", 'umask 777; "$@"', "sh", *create], check=True, capture_output=True)
    made = {path.name: mode(path) for path in tmp_path.rglob("*") if not path.is_symlink()}
    subprocess.run([sys.executable, "-m", "wsdash", "daemon", "--stop"], check=True, capture_output=True)
    assert [name for name, rights in made.items() if not rights & 0o400] == []


@pytest.mark.usefixtures("umask", "leaves_nothing_running")
def test_nobody_else_can_read_or_write_what_a_workspace_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for what its own job has made, which is as the user's umask says."""
    monkeypatch.delenv("WSDASH_HOME")
    home = tmp_path / "user"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("WSDASH_ISOLATION", "plain")

    def wsdash(*arguments: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "wsdash", *arguments],
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )

    wsdash("create", "--no-source", "--name", "app", "--yes", "--wait")
    wsdash("ssh-config", "show")
    wsdash("context", "use", "local")
    wsdash("daemon", "--stop")
    of_the_job = list((home / ".local/state/wsdash/contexts/local/workspaces").glob("*/*"))
    open_to_others = [
        path
        for path in home.rglob("*")
        if not path.is_symlink()
        and mode(path) & 0o077
        and not path.is_socket()
        and not any(path.is_relative_to(own) for own in of_the_job)
    ]
    wsdash("delete", "app", "--yes", "--wait")
    assert open_to_others == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_configuration_of_another_user_is_not_obeyed(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[dashboard]\nmouse = true\n")
    file.chmod(0o600)
    assert load_config(file).dashboard.mouse
    os.chown(file, SOMEBODY, SOMEBODY)
    with pytest.raises(ConfigError, match=f"{file} belongs to another user"):
        load_config(file)


def test_a_configuration_that_others_can_write_to_is_not_obeyed(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("")
    for bits in (0o620, 0o602):
        file.chmod(bits)
        with pytest.raises(ConfigError, match=f"chmod go-w {file}"):
            load_config(file)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_state_folder_of_another_user_is_refused_by_name(tmp_path: Path) -> None:
    paths = Paths.from_environment({"WSDASH_HOME": str(tmp_path)})
    paths.state.mkdir()
    os.chown(paths.state, SOMEBODY, SOMEBODY)
    with pytest.raises(PathError, match=f"{paths.state} is not your folder"):
        paths.prepare()


@pytest.mark.parametrize("environ", [{"HOME": "relative"}, {"HOME": "./x", "XDG_STATE_HOME": "y"}])
def test_a_relative_home_is_told(environ: dict[str, str]) -> None:
    with pytest.raises(PathError, match=r"HOME is '.*', which is not an absolute path"):
        Paths.from_environment(environ)
