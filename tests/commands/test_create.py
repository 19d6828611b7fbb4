"""`wsdash create`: its source, its questions, secrets and dotfiles, with real jobs."""

from __future__ import annotations

import json
from pathlib import Path

import pexpect
import pytest

from tests.commands.conftest import rows
from tests.conftest import PYTHON, Command
from tests.repositories import commit_files, make_repository
from tests.screens.terminal import Terminal
from wsdash.paths import Paths

pytestmark = pytest.mark.usefixtures("plain_jobs")


def test_the_repository_of_the_present_directory_is_the_source(wsdash: Command, repository: Path) -> None:
    (repository / "src").mkdir()
    created = wsdash("create", "--json", "--name", "here", cwd=repository / "src")
    assert created.returncode == 0, created.stderr
    assert json.loads(created.stdout)["source"] == str(repository)
    assert "here" in rows(wsdash)


def test_outside_of_a_repository_a_source_must_be_given(wsdash: Command) -> None:
    done = wsdash("create")
    assert (done.returncode, "wsdash create SOURCE" in done.stderr) == (2, True)


def test_a_workspace_without_a_repository(wsdash: Command) -> None:
    done = wsdash("create", "--no-source", "--name", "empty", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["source"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "does not exist"),
        (["web", "--ref", "no-such-branch"], "no-such-branch"),
        (["web", "--devfile", "no-such-file.yaml"], "no-such-file.yaml"),
        (["web", "--name", "Not A Name"], "is not a valid name"),
        (["web", "--component", "nothing"], "nothing"),
    ],
)
def test_what_cannot_be_created_is_told_and_leaves_nothing(
    arguments: list[str], words: str, wsdash: Command, repository: Path
) -> None:
    done = wsdash("create", *arguments, "--json", cwd=repository.parent)
    assert done.returncode == 1
    assert done.stdout == ""
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert rows(wsdash) == {}


def test_create_asks_on_a_terminal(repository: Path, wsdash: Command) -> None:
    asked = pexpect.spawn(PYTHON[0], [*PYTHON[1:], "create", str(repository)], timeout=60, encoding="utf-8")
    asked.expect("GREETING=hello")
    asked.expect(r"Create it\? \[y/N\]")
    asked.sendline("")
    asked.expect("Nothing was created")
    asked.expect(pexpect.EOF)
    assert asked.wait() == 1
    assert rows(wsdash) == {}


def test_a_new_commit_is_fetched_by_a_new_workspace(wsdash: Command, repository: Path) -> None:
    commit_files(repository, {"news.txt": "new\n"}, "News")
    assert wsdash("create", str(repository), "--wait").returncode == 0
    assert wsdash("ssh", "web", "--", "cat", "news.txt").stdout == "new\n"


SECRET = """\
schemaVersion: 2.2.0
attributes: {wsdash/secrets: [NPM_TOKEN]}
components: [{name: main, container: {image: alpine}}]
commands:
- {id: use, exec: {component: main, commandLine: 'echo "it is [$NPM_TOKEN]"'}}
events: {postStart: [use]}
"""


def test_a_secret_is_asked_for_on_a_terminal_and_given_to_every_job(
    wsdash: Command, tmp_path: Path, paths: Paths
) -> None:
    (tmp_path / "devfile.yaml").write_text(SECRET)
    make = ("create", "--no-source", "--devfile", str(tmp_path / "devfile.yaml"), "--name", "web", "--wait")
    terminal = Terminal("wsdash", *make, env={})
    terminal.read_until("Create it? [y/N] ")
    terminal.type(b"y\n")
    terminal.read_until("NPM_TOKEN, not shown; empty for none: ")
    terminal.type(b"it's $ecret\n")
    assert terminal.wait() == 0
    assert b"$ecret" not in terminal.written
    assert "it is [it's $ecret]" in wsdash("logs", "web").stdout
    assert wsdash("ssh", "web", "--", "printenv", "NPM_TOKEN").stdout == "it's $ecret\n"
    assert wsdash("restart", "web", "--wait").returncode == 0
    assert "it is [it's $ecret]" in wsdash("logs", "web").stdout
    kept = [file for file in paths.state.rglob("*") if file.is_file() and b"$ecret" in file.read_bytes()]
    assert kept and {file.stat().st_mode & 0o777 for file in kept} <= {0o600, 0o700}, kept
    assert wsdash("delete", "web", "--yes", "--wait").returncode == 0
    assert not [f for f in paths.state.rglob("*") if f.is_file() and b"$ecret" in f.read_bytes()]


def test_a_secret_comes_from_the_environment_only_where_it_is_named(
    wsdash: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "devfile.yaml").write_text(SECRET)
    monkeypatch.setenv("NPM_TOKEN", "of-mine")
    make = ("create", "--no-source", "--devfile", str(tmp_path / "devfile.yaml"), "--yes", "--wait")
    assert wsdash(*make, "--name", "one").returncode == 0
    assert "The secret NPM_TOKEN is not set in this job" in wsdash("logs", "one").stdout
    assert wsdash(*make, "--name", "two", "--secret", "NPM_TOKEN").returncode == 0
    assert "it is [of-mine]" in wsdash("logs", "two").stdout


@pytest.mark.parametrize("script", [None, "script/setup"])
def test_dotfiles_are_applied_once_by_their_script_or_as_links(
    wsdash: Command, repository: Path, tmp_path: Path, paths: Paths, script: str | None
) -> None:
    files = {".vimrc": "set number\n", ".profile": "theirs\n", "README": "no dotfile\n"}
    if script is not None:
        files[script] = "#!/bin/sh\necho applied >>~/log\n"
    dotfiles = make_repository(tmp_path / "dotfiles", files=files)
    paths.config_file.parent.mkdir(exist_ok=True)
    paths.config_file.write_text(f'[personal]\ndotfiles = "{dotfiles}"\n')
    created = wsdash("create", str(repository), "--wait")
    assert created.returncode == 0 and "run dotfiles" in created.stderr
    assert wsdash("restart", "web", "--wait").returncode == 0
    shown = wsdash("ssh", "web", "--", "sh", "-c", "ls -A ~; cat ~/.vimrc ~/log 2>/dev/null").stdout.split(
        "\n"
    )
    if script is None:
        assert {".vimrc", ".profile", ".dotfiles", "set number"} <= set(shown)
        assert "README" not in shown and ".git" not in shown
    else:
        assert ".vimrc" not in shown and shown.count("applied") == 1
    assert "dotfiles was done at an earlier start" in wsdash("logs", "web").stdout


def test_dotfiles_that_cannot_be_fetched_are_a_failed_step_of_a_workspace_that_runs(
    wsdash: Command, repository: Path, paths: Paths
) -> None:
    paths.config_file.parent.mkdir(exist_ok=True)
    paths.config_file.write_text('[personal]\ndotfiles = "/nowhere"\n')
    assert wsdash("create", str(repository), "--wait").returncode == 0
    steps = json.loads(wsdash("show", "web", "--json").stdout)["steps"]
    assert [step["exit_code"] for step in steps if step["command"] == "dotfiles"] == [128]
