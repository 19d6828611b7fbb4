"""Unsaved work on a GitLab: it outlives its job, by checkpoints that the user's machine takes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.backend.access.conftest import SSHD
from tests.e2e.gitlab_work import DEVFILE, PATIENCE_S, MakeRunner, Work, working
from tests.e2e.test_gitlab import make_runner
from tests.gitlab_server.state import Variable
from tests.repositories import git
from tests.waiting import until_sync
from wsdash.paths import Paths

__all__ = ["make_runner"]

pytestmark = pytest.mark.skipif(SSHD is None, reason="there is no sshd (openssh-server)")


@pytest.fixture
def work(
    tmp_path: Path,
    paths: Paths,
    make_runner: MakeRunner,
    leaves_nothing_running: None,
    request: pytest.FixtureRequest,
) -> Iterator[Work]:
    with working(tmp_path, paths, make_runner, devfile=getattr(request, "param", DEVFILE)) as work:
        text = paths.config_file.read_text()
        paths.config_file.write_text(text.replace("[policy]\n", "[policy]\ncheckpoint_s = 1\n"))
        yield work


def inside(work: Work, line: str) -> str:
    return work.run("ssh", "app", "--", "sh", "-c", line)


def until_saved(work: Work) -> None:
    """A checkpoint that was taken after this was called."""
    first = work.row()["saved_at"]
    second = until_sync(lambda: newer_than(work, first), PATIENCE_S, "a checkpoint")
    until_sync(lambda: newer_than(work, second), PATIENCE_S, "another checkpoint")


def lose_the_runner(work: Work) -> None:
    """With its disk, and without a goodbye; the next job gets the checkpoint of the one before."""
    work.runner.kill()
    shutil.rmtree(work.runner.folder / "builds")
    work.wait_for(phase="pending", attempt=2)
    work.runner.start()
    work.wait_for(phase="running", attempt=2)
    until_sync(lambda: "is restored" in work.run("logs", "app"), PATIENCE_S, "the log")


def stand_in_the_way(work: Work) -> Path:
    """A file where the folder of the workspace's checkpoints is to be, which is removed with them."""
    folder = work.paths.state / "checkpoints" / str(work.row()["id"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(exist_ok=True)
    folder.touch()
    return folder


def newer_than(work: Work, saved_at: object) -> object:
    found = work.row()["saved_at"]
    return None if found == saved_at else found


@pytest.mark.long
def test_work_outlives_a_runner_that_is_lost_with_its_disk(work: Work) -> None:
    work.create()
    work.wait_for(phase="running", attempt=1)
    inside(
        work,
        "echo precious >notes.txt; git config user.email a@b.c; git config user.name a; echo two >>devfile.yaml",
    )
    inside(work, "git commit -q -a -m mine")
    until_saved(work)
    assert "by a checkpoint on this machine" in work.run("show", "app")
    lose_the_runner(work)
    assert inside(work, "cat notes.txt") == "precious\n"
    assert "mine" in inside(work, "git log --oneline")


WRITES_ONCE = DEVFILE.replace("echo nothing kept;", "echo precious >notes.txt;")


@pytest.mark.long
@pytest.mark.parametrize("work", [WRITES_ONCE], indirect=True, ids=["writes-once"])
def test_a_job_ends_by_itself_before_its_time_limit_saved_and_the_next_one_goes_on(work: Work) -> None:
    text = work.paths.config_file.read_text()
    work.paths.config_file.write_text(text.replace("checkpoint_s = 1\n", "checkpoint_s = 600\n"))
    work.server.do(lambda: work.project.variables.update(WSDASH_DEADLINE=Variable("20", masked=False)))
    work.run("create", work.source, "--context", "work", "--name", "app", "--yes")
    work.wait_for(phase="running", attempt=1)
    work.server.do(lambda: work.project.variables.pop("WSDASH_DEADLINE"))
    work.wait_for(phase="running", attempt=2)
    assert "checkpoint: kept" in work.run("logs", "app", "--attempt", "1")
    assert inside(work, "cat notes.txt") == "precious\n"
    until_sync(lambda: "kept work" in work.run("logs", "app"), PATIENCE_S, "the log of the second job")
    ended = next(p for p in work.server.state.pipelines.values() if p.status == "success")
    assert ended.name is not None and " deadline " in ended.name
    assert "deadline" in work.run("events", "app")


@pytest.mark.short
def test_a_stop_saves_first_and_asks_where_that_cannot_be(work: Work) -> None:
    work.create()
    work.wait_for(phase="running", attempt=1)
    until_saved(work)
    folder = stand_in_the_way(work)
    inside(work, "echo precious >notes.txt")
    output = work.run_stderr("stop", "app", code=1)
    assert "the work in app cannot be saved: it cannot be stored on your machine" in output
    assert work.row()["desired"] == "running"
    folder.unlink()
    work.run("stop", "app", "--wait")
    assert list(folder.glob("*.bundle"))
    folder_of_work = work.runner.folder / "builds"
    shutil.rmtree(folder_of_work)
    shutil.rmtree(work.runner.folder / "cache")
    work.run("start", "app", "--wait")
    assert inside(work, "cat notes.txt") == "precious\n"
    work.run("stop", "app", "--wait")
    output = work.run_stderr("delete", "app", "--yes", "--keep-work", "--wait")
    assert not folder.exists()
    (bundle,) = (work.paths.state / "kept").rglob("checkpoint.bundle")
    assert f"git fetch {bundle} '+refs/*:refs/kept/*'" in output
    clone = work.paths.state / "clone"
    git(work.paths.state, "clone", "-q", str(work.project.repository.folder), str(clone))
    git(clone, "fetch", "-q", str(bundle), "+refs/*:refs/kept/*")
    assert git(clone, "show", "refs/kept/wsdash/work:notes.txt") == "precious"


def test_force_stops_it_all_the_same_and_tells(work: Work) -> None:
    work.create()
    work.wait_for(phase="running", attempt=1)
    until_saved(work)
    stand_in_the_way(work)
    inside(work, "echo precious >notes.txt")
    assert "cannot be saved" in work.run_stderr("stop", "app", "--force", "--wait")
    assert work.row()["phase"] == "stopped"


@pytest.mark.long
def test_an_autostop_waits_until_the_work_can_be_saved(work: Work) -> None:
    with work.paths.config_file.open("a") as file:
        file.write("idle_minutes = 0.1\n")
    work.create()
    folder = stand_in_the_way(work)
    inside(work, "echo precious >notes.txt")
    until_sync(
        lambda: "waits: the work in app cannot be saved" in str(work.row()["reason"]), PATIENCE_S, "autostop"
    )
    assert work.row()["desired"] == "running"
    folder.unlink()
    work.wait_for(phase="stopped")
    assert list(folder.glob("*.bundle"))


@pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux")
def test_a_shell_goes_on_in_the_next_job_with_its_panes_folders_and_scrollback(work: Work) -> None:
    work.create()
    inside(work, "mkdir -p deep/er")
    shell = pexpect.spawn(
        sys.executable, ["-m", "wsdash", "ssh", "app"], timeout=60, encoding="utf-8", dimensions=(40, 120)
    )
    shell.sendline("cd deep/er && echo mark-$((40 + 2))")
    shell.expect("mark-42")
    shell.sendline("tmux split-window -h -c /usr; echo split-$((40 + 2))")
    shell.expect("split-42")
    shell.sendline("tmux rename-window tests; tmux new-window -n other; echo there")
    until_sync(
        lambda: "other" in inside(work, "tmux -L wsdash-$WSDASH_WORKSPACE list-windows"),
        PATIENCE_S,
        "windows",
    )
    shell.sendline("tmux select-window -t tests; tmux select-pane -t .0")
    before = inside(work, PANES)
    assert before.count("/deep/er") == 1
    assert before.count(" /usr\n") >= 1
    work.run("restart", "app")
    shell.expect("The connection to app is lost")
    shell.expect("mark-42")  # what stood there stands there again
    assert without_ids(inside(work, PANES)) == without_ids(before)
    shell.sendline("pwd; echo now-$((40 + 2))")
    shell.expect("deep/er")
    shell.expect("now-42")
    shell.sendline("tmux kill-server")
    shell.expect(pexpect.EOF)
    assert work.row()["attempt"] == 2


PANES = (
    "tmux -L wsdash-$WSDASH_WORKSPACE list-panes -s -t wsdash -F"
    " '#{window_name} #{window_layout} #{pane_active} #{pane_current_path}'"
)


def without_ids(panes: str) -> str:
    """Layouts name panes by numbers, and carry a checksum."""
    return re.sub(r" [0-9a-f]{4},| ?,\d+(?=[]},]| )", " ", panes)


@pytest.fixture
def work_without_a_line(
    tmp_path: Path, paths: Paths, make_runner: MakeRunner, leaves_nothing_running: None
) -> Iterator[Work]:
    """Runners that cannot reach this machine."""
    with working(tmp_path, paths, make_runner) as work:
        text = paths.config_file.read_text().partition("\n[access]\n")
        policy = text[2].partition("[policy]\n")[2]
        paths.config_file.write_text(f"{text[0]}\n[policy]\ncheckpoint_s = 0.3\n{policy}")
        yield work


@pytest.mark.long
def test_where_no_line_leads_out_checkpoints_go_into_the_package_registry(work_without_a_line: Work) -> None:
    work = work_without_a_line
    work.create()
    work.wait_for(phase="running", attempt=1)
    project = work.project
    until_sync(lambda: project.packages, PATIENCE_S, "a first checkpoint in the registry")
    notes = next((work.runner.folder / "builds").rglob("projects/app")) / "notes.txt"
    notes.write_text("precious\n")
    first = work.row()["saved_at"]
    until_sync(lambda: newer_than(work, first), PATIENCE_S, "a checkpoint with it")
    until_sync(lambda: project.packages[-1].version != "1.1", PATIENCE_S, "a second one in the registry")
    until_sync(lambda: len(project.packages) == 1, PATIENCE_S, "the first one to be removed")
    lose_the_runner(work)
    assert next((work.runner.folder / "builds").rglob("projects/app/notes.txt")).read_text() == "precious\n"
    work.run("delete", "app", "--yes", "--wait")
    assert project.packages == []


@pytest.mark.long
def test_where_the_registry_is_off_and_jobs_may_push_they_go_on_a_branch(work_without_a_line: Work) -> None:
    work = work_without_a_line
    work.project.packages_enabled = False
    work.project.jobs_may_push = True
    work.create()
    work.wait_for(phase="running", attempt=1)
    notes = next((work.runner.folder / "builds").rglob("projects/app")) / "notes.txt"
    notes.write_text("precious\n")
    branch = f"wsdash-checkpoints/{work.row()['id']}"
    until_sync(lambda: branch in work.project.repository.branches(), PATIENCE_S, "the branch")
    until_saved(work)
    work.run("stop", "app", "--wait")
    shutil.rmtree(work.runner.folder / "builds")
    shutil.rmtree(work.runner.folder / "cache")
    work.run("start", "app", "--wait")
    until_sync(lambda: "is restored" in work.run("logs", "app"), PATIENCE_S, "the log")
    assert next((work.runner.folder / "builds").rglob("projects/app/notes.txt")).read_text() == "precious\n"
    assert len(work.server.state.pipelines) == 2
    work.run("delete", "app", "--yes", "--wait")
    assert list(work.project.repository.branches()) == ["main"]


@pytest.mark.long
def test_what_a_job_could_not_fetch_from_the_project_is_not_replaced_by_its_own(
    work_without_a_line: Work,
) -> None:
    work = work_without_a_line
    work.create()
    work.wait_for(phase="running", attempt=1)
    notes = next((work.runner.folder / "builds").rglob("projects/app")) / "notes.txt"
    notes.write_text("precious\n")
    until_saved(work)
    work.runner.kill()
    shutil.rmtree(work.runner.folder / "builds")
    work.wait_for(phase="pending", attempt=2)
    work.project.packages_enabled = False
    work.runner.start()
    work.wait_for(phase="running", attempt=2)
    until_sync(lambda: "could not be restored" in work.run("events", "app"), PATIENCE_S, "the word")
    work.project.packages_enabled = True
    work.run("restart", "app", "--wait")
    work.wait_for(phase="running", attempt=3)
    until_sync(lambda: "is restored" in work.run("logs", "app"), PATIENCE_S, "the log")
    assert next((work.runner.folder / "builds").rglob("projects/app/notes.txt")).read_text() == "precious\n"


@pytest.mark.parametrize("killed", [("job.sh",), ("job.sh", "gitlab.sh")])
def test_a_script_that_dies_amid_its_work_is_saved_by_what_is_left(
    work_without_a_line: Work, killed: tuple[str, ...]
) -> None:
    work = work_without_a_line
    text = work.paths.config_file.read_text()
    work.paths.config_file.write_text(text.replace("checkpoint_s = 0.3", "checkpoint_s = 900"))
    work.create()
    work.wait_for(phase="running", attempt=1)
    notes = next((work.runner.folder / "builds").rglob("projects/app")) / "notes.txt"
    until_sync(lambda: work.project.packages, PATIENCE_S, "the first checkpoint")
    notes.write_text("precious\n")
    mark = f"WSDASH_WORKSPACE={work.row()['id']}\0".encode()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            if (
                any(f"/{name}".encode() in line for name in killed)
                and mark in (entry / "environ").read_bytes()
            ):
                os.kill(int(entry.name), signal.SIGKILL)
    until_sync(lambda: "1.2" in {p.version for p in work.project.packages}, PATIENCE_S, "the last checkpoint")
    work.wait_for(phase="running", attempt=2)
    assert next((work.runner.folder / "builds").rglob("projects/app/notes.txt")).read_text() == "precious\n"


def test_a_registry_that_is_off_is_said_and_nothing_else_suffers(work_without_a_line: Work) -> None:
    work = work_without_a_line
    work.project.packages_enabled = False
    work.create()
    until_sync(
        lambda: "the project accepts no checkpoint" in work.run("events", "app"), PATIENCE_S, "the word"
    )
    assert work.row()["saved_at"] is None
    assert work.row()["phase"] == "running"
    work.project.packages_enabled = True
    until_sync(lambda: work.row()["saved_at"], PATIENCE_S, "a checkpoint after all")


def test_git_in_a_workspace_asks_this_machine_for_credentials_for_named_hosts_alone(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "helper"
    helper.write_text("#!/bin/sh\n[ $1 != get ] || printf 'username=ada\\npassword=s3cret\\n'\n")
    helper.chmod(0o755)
    settings = tmp_path / "gitconfig"
    hosts = ("git.example.com", "git.example.org")
    settings.write_text("".join(f'[credential "https://{host}"]\n  helper = {helper}\n' for host in hosts))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))  # of whoever reconciles, on this machine
    text = work.paths.config_file.read_text()
    work.paths.config_file.write_text(text + '\n[personal]\ncredential_hosts = ["git.example.com"]\n')
    work.create()
    ask = (
        "export GIT_CONFIG_GLOBAL=/dev/null; printf 'protocol=https\\nhost=%s\\n\\n' {} | git credential fill"
    )
    asked = ask.format("git.example.com")
    until_sync(lambda: "password=s3cret" in inside(work, f"{asked} || :"), PATIENCE_S, "an answer")
    other = "export GIT_TERMINAL_PROMPT=0; " + ask.format("git.example.org")
    assert "s3cret" not in inside(work, f"{other} 2>&1 || :")
