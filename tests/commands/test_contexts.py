from __future__ import annotations

import asyncio
import io
import json
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backend import builders
from tests.gitlab_server import GitLabServer
from tests.screens.terminal import Terminal
from wsdash import cli
from wsdash.backend.operations import connect_gitlab
from wsdash.backend.operations.connect_gitlab import ContextRequest
from wsdash.config.settings import load_config
from wsdash.model import Workspace
from wsdash.paths import Paths

CONFIG = """\
# where I work
default_context = "laptop"

[contexts.laptop]   # this one
provider = "local"

[dashboard]
mouse = false
"""


@pytest.fixture
def config(paths: Paths) -> Paths:
    paths.config.mkdir()
    paths.config_file.write_text(CONFIG)
    return paths


def test_the_local_context_is_always_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["context", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "local", "provider": "local", "default": True}]
    assert cli.main(["context", "list"]) == 0
    assert "local" in capsys.readouterr().out


def test_use_changes_the_default_and_nothing_else(config: Paths) -> None:
    assert cli.main(["context", "use", "local"]) == 0
    assert load_config(config.config_file).default_context == "local"
    assert config.config_file.read_text() == CONFIG.replace('"laptop"', '"local"')


def test_use_makes_the_file_where_there_is_none(paths: Paths) -> None:
    assert cli.main(["context", "use", "local"]) == 0
    assert paths.config_file.read_text() == 'default_context = "local"\n'


def test_remove_takes_the_table_out_and_falls_back_to_local(config: Paths) -> None:
    assert cli.main(["context", "remove", "laptop"]) == 0
    settings = load_config(config.config_file)
    assert (settings.default_context, list(settings.contexts)) == ("local", ["local"])
    text = config.config_file.read_text()
    assert "# where I work" in text
    assert "[dashboard]\nmouse = false\n" in text


def test_a_context_with_workspaces_stays(
    config: Paths, store_with: Callable[[Iterable[Workspace]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    store_with([replace(builders.workspace(), context="laptop")])
    assert cli.main(["context", "remove", "laptop"]) == 1
    assert "demo" in capsys.readouterr().err
    assert config.config_file.read_text() == CONFIG


def test_the_local_context_cannot_be_removed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["context", "remove", "local"]) == 1
    assert "cannot be removed" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        'contexts = {laptop = {provider = "local"}}\n',
        '# mine\n[contexts]\nlaptop.provider = "local"  # here\n\n[policy]\nmax_hours = 8\n',
        'contexts.laptop.provider = "local"\n',
        '[contexts."laptop"]\nprovider = "local"\n[policy]\nmax_hours = 8\n[contexts.other]\nprovider = "local"\n',
    ],
)
def test_a_context_is_removed_however_the_file_is_laid_out(
    paths: Paths, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    paths.config.mkdir()
    paths.config_file.write_text(text)
    assert cli.main(["context", "remove", "laptop"]) == 0, capsys.readouterr().err
    before, after = tomllib.loads(text), tomllib.loads(paths.config_file.read_text())
    del before["contexts"]["laptop"]
    assert {**after, "contexts": after.get("contexts", {})} == before
    assert ("# mine" in paths.config_file.read_text()) == ("# mine" in text)


def test_a_link_to_the_file_stays_a_link(config: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    real = config.config_file.rename(config.config / "real.toml")
    config.config_file.symlink_to(real)
    assert cli.main(["context", "use", "local"]) == 0
    assert config.config_file.is_symlink()
    assert 'default_context = "local"' in real.read_text()


def test_a_token_is_never_taken_from_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["context", "add", "work", "--url", "https://gitlab.example.com", "--project", "group/app"]
    with pytest.raises(SystemExit):
        cli.main([*arguments, "--token", "glpat-1"])
    capsys.readouterr()
    assert cli.main(arguments) == 2
    assert "--token-stdin" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["gitlab.example.com", "https://user:secret@gitlab.example.com", "ftp://x"])
def test_an_address_that_is_none_is_refused_with_what_would_be_right(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["context", "add", "work", "--url", url, "--project", "group/app"]) == 1
    assert "https://gitlab.example.com" in capsys.readouterr().err


WORK = """
[contexts.work]
provider = "gitlab"
url = "http://127.0.0.1:1"
project = "group/app"
tags = ["big"]
volume = "/wsdash"
deposits = false
poll_s = 9
"""


def test_what_was_edited_by_hand_stays_when_a_context_is_changed(
    config: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with config.config_file.open("a") as file:
        file.write(WORK)
    before = load_config(config.config_file).contexts["work"].gitlab
    assert before is not None
    request = ContextRequest("work", before.url, "group/other", token="t", placement="source", tags=("big",))
    seen = asyncio.run(connect_gitlab.preview(request, config))
    assert seen.settings == replace(before, project="group/other")
    monkeypatch.setattr("sys.stdin", io.StringIO("t\n"))
    assert cli.main(["context", "add", "work", "--tag", "bigger", "--token-stdin", "--force"]) == 0
    capsys.readouterr()
    assert load_config(config.config_file).contexts["work"].gitlab == replace(before, tags=("bigger",))


@pytest.mark.usefixtures("leaves_nothing_running")
def test_it_asks_for_the_address_the_token_and_the_project(tmp_path: Path, paths: Paths) -> None:
    with GitLabServer(tmp_path / "gitlab") as server:
        user = server.add_user("ada")
        server.add_project("group/app", owners=[user])
        server.add_runner()
        token = server.add_token(user)
        terminal = Terminal("wsdash", "context", "add", "work", env={})
        terminal.read_until("Address of the GitLab: ")
        terminal.type(server.url.encode() + b"\n")
        terminal.read_until("Access token (not shown): ")
        terminal.type(token.encode() + b"\n")
        terminal.read_until("Project that runs the workspaces: ")
        assert b"group/app" in terminal.written
        terminal.type(b"group/app\n")
        terminal.read_until("Name of this machine [127.0.0.1], or - for no way in: ")
        terminal.type(b"\n")
        terminal.read_until("The context work is added")
        assert terminal.wait() == 0
        assert load_config(paths.config_file).access.host == "127.0.0.1"
        assert b"the relay answers at 127.0.0.1 port" in terminal.written
        assert b"the way is untested" in terminal.written
        assert cli.main(["relay", "--stop"]) == 0
        assert token.encode() not in terminal.written
        assert token not in paths.config_file.read_text()
        assert paths.credentials_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("leaves_nothing_running")
def test_a_token_that_is_there_is_offered_by_where_it_is(tmp_path: Path, paths: Paths) -> None:
    with GitLabServer(tmp_path / "gitlab") as server:
        user = server.add_user("ada")
        server.add_project("group/app", owners=[user])
        server.add_runner()
        env = {"GITLAB_TOKEN": server.add_token(user), "GITLAB_HOST": server.url}
        where = ("--url", server.url, "--project", "group/app")
        terminal = Terminal("wsdash", "context", "add", "work", *where, "--no-access", env=env)
        terminal.read_until("the variable GITLAB_TOKEN?")
        terminal.type(b"y\n")
        terminal.read_until("its token is from the variable GITLAB_TOKEN")
        assert terminal.wait() == 0
        assert env["GITLAB_TOKEN"].encode() not in terminal.written
        assert not paths.credentials_file.exists()
