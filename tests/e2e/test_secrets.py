"""Secrets stay where they belong: none that a user gives stands in an output, a log, a branch, a file of ours but for
those whose purpose is to hold it, or the arguments of a process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.backend.access.conftest import SSHD
from tests.backend.providers.contract import workspace
from tests.e2e.gitlab_work import PATIENCE_S, working
from tests.e2e.markers import Watch, at_gitlab, in_files
from tests.gitlab_runner import Runner
from tests.gitlab_server import GitLabServer
from tests.gitlab_server.state import Token, Variable
from tests.repositories import git
from tests.waiting import until_sync
from wsdash.backend.providers.features import secret_store_of
from wsdash.backend.providers.provider_pool import ProviderPool
from wsdash.paths import Paths

MARKERS = {
    "the token in the address": "glpat-MARKERaddress1",
    "the token of dotfiles": "glpat-MARKERdotfiles2",
    "a wrong password": "MARKERwrong3",
    "a password with a slash": "MARKER/slash4",
    "a token in a query": "MARKERquery5",
    "the token of a parent": "MARKERparent6",
    "a secret of the workspace": "MARKERsecret7",
    "the token in the environment": "glpat-MARKERenvironment8",
    "another token in the environment": "glpat-MARKERenvironment9",
    "the token of glab": "glpat-MARKERglab10",
}
ADDRESS = MARKERS["the token in the address"]
DOTFILES = MARKERS["the token of dotfiles"]

PURPOSE = (
    "credentials.toml",  # access tokens of contexts
    "state/credentials/*",  # of addresses, for a GitLab's workspaces
    "contexts/*/credentials/*",  # of addresses, for those of this machine; and what their jobs get of them
    "contexts/*/secrets/*",
    "jobs/*/job/git-credentials",
    "jobs/*/job/secrets.sh",
)
"""Files that hold secrets, each readable by the user alone."""

DEVFILE = """\
schemaVersion: 2.2.0
components: [{name: main, container: {image: alpine}}]
commands:
- {id: ask, exec: {component: main, commandLine: 'git ls-remote --quiet origin HEAD >~/asked && echo asked well'}}
events: {postStart: [ask]}
"""


@dataclass
class User:
    """A user at a shell, whose every command is kept with what it printed."""

    folder: Path
    watch: Watch
    told: list[str] = field(default_factory=list)

    def run(self, *arguments: str, code: int | None = 0, cwd: Path | None = None) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "wsdash", *arguments],
            cwd=cwd or self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        printed = f"{done.stdout}{done.stderr}"
        assert code in (None, done.returncode), printed
        self.told.append(f"$ wsdash {arguments[0]}\n{printed}")
        return printed

    def ask_everything(self) -> None:
        """Every verb that tells something."""
        for verb in ("list", "show app", "show app --json", "events app --json", "why app", "plan", "doctor"):
            self.run(*verb.split(), code=None)
        self.run("logs", "app", "--raw", code=None)
        self.run("ports", "app", code=None)
        self.run("update", "app", "--yes", code=None)
        self.run("export", "app", str(self.folder / "app.tar.gz"), "--force", code=None)

    def mistype(self, host: str) -> None:
        """Addresses that lead nowhere."""
        wrong = [
            f"http://ada:{MARKERS['a wrong password']}@{host}/group/app.git",
            f"http://oauth2:{MARKERS['a password with a slash']}@{host}/group/app.git",
            f"http://{host}/group/app.git?private_token={MARKERS['a token in a query']}",
            f"oauth2:{MARKERS['a wrong password']}@{host}/group/app.git",
            f"ssh://git:{MARKERS['a wrong password']}@{host}/group/app.git",
            f"http://ada:{MARKERS['a wrong password']}@127.0.0.1:1/app.git",
            f"http://{MARKERS['a wrong password']}@{host}/group/app.git\n",
        ]
        for address in wrong:
            self.run("create", address, "--name", "wrong", "--yes", code=None)
        self.run(
            "create", f"http://oauth2:{ADDRESS}@{host}/group/app.git", "--ref", "nosuch", "--yes", code=1
        )
        self.run("create", "--no-source", "--devfile", wrong[0], "--yes", code=1)
        devfile = self.folder / "parent.yaml"
        devfile.write_text(
            f"schemaVersion: 2.2.0\nparent: {{uri: 'https://ada:{MARKERS['the token of a parent']}@{host}/x'}}\n"
        )
        self.run("create", "--no-source", "--devfile", str(devfile), "--yes", code=None)
        self.run("devfile", "flatten", str(devfile), code=None)

    def leaks(self) -> list[str]:
        """In what was printed, and in arguments."""
        printed = "\n".join(self.told)
        parts = {**MARKERS, "half a password": "/slash4"}
        return self.watch.found + [
            f"{name} in an output" for name, marker in parts.items() if marker in printed
        ]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[GitLabServer]:
    """A host with the code and the dotfiles, each of which its own token alone may read."""
    with GitLabServer(tmp_path / "elsewhere") as server:
        for path, token, files in (
            ("group/app", ADDRESS, {"devfile.yaml": DEVFILE}),
            ("ada/dots", DOTFILES, {"install.sh": "echo applied\n"}),
        ):
            user = server.add_user(path.replace("/", "-"))
            server.add_project(path, files, owners=[user])
            server.state.tokens[token] = Token(token, user, ["api"], None)
        yield server


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaves_nothing_running: None) -> Iterator[User]:
    """With tokens in the environment and in glab's configuration."""
    home = tmp_path / "user"
    glab = home / ".config/glab-cli/config.yml"
    glab.parent.mkdir(parents=True)
    glab.write_text(f"hosts:\n  gitlab.com:\n    token: {MARKERS['the token of glab']}\n")
    with Watch(tmp_path / "watch", MARKERS) as watch:
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("PATH", f"{watch.programs}:{os.environ['PATH']}")
        monkeypatch.setenv("WSDASH_ISOLATION", "plain")
        monkeypatch.setenv("WSDASH_GITLAB_TOKEN", MARKERS["the token in the environment"])
        monkeypatch.setenv("GITLAB_TOKEN", MARKERS["another token in the environment"])
        monkeypatch.setenv("DEPLOY_KEY", MARKERS["a secret of the workspace"])
        yield User(home, watch)


def with_dotfiles(paths: Paths, host: str) -> None:
    text = paths.config_file.read_text() if paths.config_file.exists() else ""
    paths.config_file.parent.mkdir(parents=True, exist_ok=True)
    paths.config_file.write_text(
        f'{text}\n[personal]\ndotfiles = "http://ada:{DOTFILES}@{host}/ada/dots.git"\n'
    )
    paths.config_file.chmod(0o600)


def host_of(server: GitLabServer) -> str:
    return server.url.partition("://")[2]


@pytest.mark.short
def test_on_this_machine(user: User, elsewhere: GitLabServer, paths: Paths) -> None:
    host = host_of(elsewhere)
    with_dotfiles(paths, host)
    user.run(
        "create",
        f"http://oauth2:{ADDRESS}@{host}/group/app.git",
        "--name",
        "app",
        "--secret",
        "DEPLOY_KEY",
        "--yes",
        "--wait",
    )
    for line in ("asked well", "applied"):
        until_sync(lambda: line in user.run("logs", "app"), PATIENCE_S, line)  # noqa: B023
    assert (
        MARKERS["a secret of the workspace"]
        in subprocess.run(
            [sys.executable, "-m", "wsdash", "ssh", "app", "--", "sh", "-c", 'echo "$DEPLOY_KEY"'],
            capture_output=True,
            text=True,
            check=True,
            stdin=subprocess.DEVNULL,
        ).stdout
    )
    user.run("restart", "app", "--wait")
    user.ask_everything()
    user.mistype(host)
    assert user.leaks() == []
    home = paths.state.parent
    allowed = (*PURPOSE, "config/config.toml")  # where its user wrote the dotfiles' token
    assert (
        in_files(home, MARKERS, allowed)
        == in_files(user.folder, MARKERS, ("glab-cli/*", "parent.yaml"))
        == []
    )
    holding = [path for path in home.rglob("*") if any(path.match(pattern) for pattern in PURPOSE)]
    assert holding and {path.stat().st_mode & 0o077 for path in holding} == {0}
    user.run("delete", "app", "--yes", "--wait")
    assert in_files(home, MARKERS, ("config/config.toml",)) == []


@pytest.mark.long
@pytest.mark.skipif(SSHD is None, reason="there is no sshd (openssh-server)")
def test_on_a_gitlab(user: User, elsewhere: GitLabServer, paths: Paths, tmp_path: Path) -> None:
    """The address is the one that `origin` of a clone has."""
    host = host_of(elsewhere)
    clone = tmp_path / "clone"
    git(tmp_path, "init", "--quiet", str(clone))
    with (clone / ".git/config").open("a") as config:
        config.write(f'[remote "origin"]\n\turl = http://oauth2:{ADDRESS}@{host}/group/app.git\n')
    with working(tmp_path, paths, Runner) as work:
        with_dotfiles(paths, host)
        user.run(
            "create",
            "--context",
            "work",
            "--name",
            "app",
            "--secret",
            "DEPLOY_KEY",
            "--yes",
            "--wait",
            cwd=clone,
        )
        for line in ("asked well", "applied"):
            until_sync(lambda: line in user.run("logs", "app"), PATIENCE_S, line)  # noqa: B023
        user.ask_everything()
        assert user.leaks() == []
        assert at_gitlab(work.server, MARKERS) == at_gitlab(elsewhere, MARKERS) == []
        assert in_files(paths.state.parent, MARKERS, (*PURPOSE, "config/config.toml")) == []
        user.run("delete", "app", "--yes", "--wait")
        assert in_files(paths.state.parent, MARKERS, ("credentials.toml", "config/config.toml")) == []
        assert in_files(work.runner.folder, MARKERS, ()) == []
        assert work.project.variables == {}


def test_without_a_line_a_gitlab_keeps_it_as_a_masked_variable_or_the_create_is_refused(
    user: User, elsewhere: GitLabServer, paths: Paths, tmp_path: Path
) -> None:
    host = host_of(elsewhere)
    with working(tmp_path, paths, Runner) as work:
        text = paths.config_file.read_text()
        paths.config_file.write_text(text.replace('host = "127.0.0.1"\n', ""))
        source = f"http://oauth2:{ADDRESS}@{host}/group/app.git"
        user.run("create", source, "--context", "work", "--name", "app", "--yes", "--wait")
        until_sync(lambda: "asked well" in user.run("logs", "app"), PATIENCE_S, "the job's own Git")
        (variable,) = work.project.variables.values()
        assert variable.masked and ADDRESS in variable.value
        assert user.leaks() == [] and at_gitlab(work.server, MARKERS) == []
        user.run("delete", "app", "--yes", "--wait")
        assert work.project.variables == {}

        work.project.roles = dict.fromkeys(work.project.roles, 30)
        told = user.run("create", source, "--context", "work", "--name", "app", "--yes", "--wait", code=4)
        assert "Set host in [access]" in told and user.leaks() == []
        # Of this GitLab itself a job reads by its own token: nothing is kept for it.
        own = work.source.replace("://", f"://oauth2:{ADDRESS}@")
        work.server.state.tokens[ADDRESS] = next(iter(work.server.state.tokens.values()))
        user.run("create", own, "--context", "work", "--name", "own", "--yes", "--wait")
        assert work.project.variables == {} and at_gitlab(work.server, MARKERS) == []


def test_secrets_of_a_killed_create_go_though_the_store_was_lost_as_well(
    user: User, paths: Paths, tmp_path: Path
) -> None:
    others = Variable("another user's")
    with working(tmp_path, paths, Runner) as work:
        work.project.variables["WSDASH_0123456789_TOKEN"] = others

        async def begin_to_create() -> None:
            pool = ProviderPool(paths)
            try:
                await secret_store_of(pool.of("work")).keep_secrets(
                    workspace(), {"TOKEN": MARKERS["a secret of the workspace"]}
                )
            finally:
                await pool.aclose()

        asyncio.run(begin_to_create())
        assert len(work.project.variables) == 2
        told = user.run("doctor", code=None)
        assert f"group/app at {work.server.url} may hold secrets of {workspace().id}" in told
        user.run("daemon", "--detach")
        until_sync(
            lambda: work.project.variables == {"WSDASH_0123456789_TOKEN": others}, PATIENCE_S, "it is removed"
        )
        until_sync(
            lambda: "nothing is left over from deleted workspaces" in user.run("doctor", code=None),
            PATIENCE_S,
            "no note",
        )
