"""`wsdash context add` on a terminal asks for what it was not given, and shows no token."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gitlab_server import GitLabServer
from tests.screens.terminal import Terminal
from wsdash.paths import Paths


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
        terminal.read_until("The context work is added")
        assert terminal.wait() == 0
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
        terminal = Terminal("wsdash", "context", "add", "work", *where, env=env)
        terminal.read_until("the variable GITLAB_TOKEN?")
        terminal.type(b"y\n")
        terminal.read_until("its token is from the variable GITLAB_TOKEN")
        assert terminal.wait() == 0
        assert env["GITLAB_TOKEN"].encode() not in terminal.written
        assert not paths.credentials_file.exists()
