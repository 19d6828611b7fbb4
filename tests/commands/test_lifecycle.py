"""The verbs that set the desired state: start, stop, restart, delete, extend; with real jobs."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pexpect
import pytest

from tests.commands.conftest import rows, run_as_printed
from tests.conftest import PYTHON, Command
from tests.repositories import DEVFILE, git, make_repository
from tests.waiting import until_sync
from wsdash.paths import Paths

pytestmark = pytest.mark.usefixtures("plain_jobs")


def test_a_workspace_is_created_entered_restarted_stopped_started_and_deleted(
    wsdash: Command, repository: Path
) -> None:
    created = wsdash("create", str(repository), "--wait", "--json")
    assert created.returncode == 0, created.stderr
    row = json.loads(created.stdout)
    assert (row["name"], row["phase"], row["healthy"], row["attempt"]) == ("web", "running", True, 1)
    assert row["job"]["id"]
    assert Path(row["folder"]).is_dir()
    assert "export GREETING=hello" in created.stderr  # what will run is shown before
    assert "web: running" in created.stderr  # and how far it is

    inside = wsdash("ssh", "web", "--", "sh", "-c", "cat greeting.txt; echo error >&2; exit 7")
    assert (inside.returncode, inside.stdout) == (7, "hello from web\n")
    assert "error\n" in inside.stderr

    log = wsdash("logs", "web")
    assert log.returncode == 0
    assert "hello from web" in log.stdout

    assert wsdash("restart", "web", "--wait").returncode == 0
    assert rows(wsdash)["web"]["attempt"] == 2
    assert "hello from web" in wsdash("logs", "web", "--attempt", "1").stdout
    assert wsdash("logs", "web", "--attempt", "9").returncode == 2

    assert wsdash("stop", "web", "--wait").returncode == 0
    assert rows(wsdash)["web"]["phase"] == "stopped"
    refused = wsdash("ssh", "web", "--", "true")
    assert (refused.returncode, "wsdash start web --wait" in refused.stderr) == (1, True)

    assert wsdash("start", "web", "--wait").returncode == 0
    assert wsdash("delete", "web").returncode == 2  # it asks, and nobody is there to answer
    assert wsdash("delete", "web", "--yes", "--wait").returncode == 0
    assert rows(wsdash) == {}
    assert not Path(row["folder"]).exists()
    shown = wsdash("list", "--json", "--all")
    assert [row["phase"] for row in json.loads(shown.stdout)] == ["deleted"]


def test_a_job_that_cannot_run_ends_the_wait_with_1_and_its_reason(
    wsdash: Command, repository: Path, paths: Paths
) -> None:
    paths.config.mkdir()
    paths.config_file.write_text("[policy]\nstart_limit = 1\nladder_s = [0.1]\n")
    assert wsdash("create", str(repository), "--wait").returncode == 0
    assert wsdash("stop", "web", "--wait").returncode == 0
    shutil.rmtree(Path(rows(wsdash)["web"]["folder"]) / "projects")
    shutil.rmtree(repository)
    failed = wsdash("start", "web", "--wait")
    assert failed.returncode == 1
    assert "web failed: " in failed.stderr
    assert "wsdash logs web" in failed.stderr
    assert rows(wsdash)["web"]["phase"] == "failed"


def test_several_names_are_all_done_and_the_worst_exit_code_wins(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--name", "one").returncode == 0
    assert wsdash("create", str(repository), "--name", "two").returncode == 0
    done = wsdash("stop", "one", "three", "two", "--wait")
    assert (done.returncode, "there is no workspace three" in done.stderr) == (3, True)
    assert {row["phase"] for row in rows(wsdash).values()} == {"stopped"}


def test_delete_asks_on_a_terminal_and_names_unsaved_work(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--wait").returncode == 0
    work = "echo new > notes.txt; git checkout -q --detach; git commit -qm 'On no branch' --allow-empty"
    identity = "git config user.name T; git config user.email t@example.com"
    wsdash("ssh", "web", "--", "sh", "-c", f"{identity}; {work}")
    for state in ("running", "stopped"):
        if state == "stopped":
            assert wsdash("stop", "web", "--wait").returncode == 0
        asked = pexpect.spawn(PYTHON[0], [*PYTHON[1:], "delete", "web"], timeout=60, encoding="utf-8")
        asked.expect("web has unsaved work: 1 commit and 2 files")
        asked.expect("notes.txt")
        asked.expect("On no branch")
        asked.expect(r"Delete web with all its files\? \[y/N\]")
        asked.sendline("n")
        asked.expect("web was not deleted")
        asked.expect(pexpect.EOF)
        assert asked.wait() == 1
    assert "web" in rows(wsdash)


def test_a_restart_records_what_only_the_workspace_has(
    wsdash: Command, repository: Path, paths: Paths
) -> None:
    def recorded() -> object:
        with closing(sqlite3.connect(paths.database)) as store:
            return store.execute("SELECT unsaved FROM workspace").fetchone()[0]

    assert wsdash("create", str(repository), "--wait").returncode == 0
    assert recorded() is None
    assert wsdash("restart", "web").returncode == 0
    assert recorded() is not None


def test_keep_work_keeps_also_what_its_job_writes_as_it_ends(wsdash: Command, tmp_path: Path) -> None:
    writes = "commands:\n- {id: late, exec: {component: tools, commandLine: echo late >late.txt}}\n"
    devfile = DEVFILE.partition("commands:")[0] + writes + "events: {preStop: [late]}\n"
    source = make_repository(tmp_path / "web", devfile=devfile)
    assert wsdash("create", str(source), "--wait").returncode == 0
    output = wsdash("delete", "web", "--keep-work", "--yes", "--wait").stderr
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", source, clone], check=True)
    run_as_printed(output, clone)
    assert (clone / "late.txt").read_text() == "late\n"


def test_what_is_nowhere_else_can_be_kept_when_a_workspace_is_deleted(
    wsdash: Command, repository: Path, tmp_path: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WSDASH_ISOLATION")
    assert wsdash("create", str(repository), "--wait").returncode == 0
    lines = (
        "git config user.name a; git config user.email a@b",
        "git checkout --quiet -b topic; echo one >committed.txt; git add .; git commit --quiet -m 'Only here'",
        "printf '\\000\\377' >binary; echo two >>committed.txt; echo out >.gitignore; touch out 'odd name'",
    )
    assert wsdash("ssh", "web", "--", "sh", "-c", "; ".join(lines)).returncode == 0
    assert wsdash("stop", "web", "--wait").returncode == 0
    done = wsdash("delete", "web", "--keep-work", "--yes", "--wait")
    assert done.returncode == 0, done.stderr
    (kept,) = (paths.state / "kept").iterdir()
    assert {(file.name, file.stat().st_mode & 0o777) for file in kept.iterdir()} == {
        ("work.bundle", 0o600),
        ("contents", 0o600),
        ("restore.sh", 0o600),
    }
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(repository), str(clone))
    run_as_printed(done.stderr, clone)
    assert git(clone, "branch", "--show-current") == "topic"
    assert git(clone, "log", "-1", "--format=%s") == "Only here"
    assert git(clone, "status", "--porcelain").splitlines()[0] == "M committed.txt"
    assert (clone / "committed.txt").read_text() == "one\ntwo\n"
    assert (clone / "binary").read_bytes() == b"\0\377"
    assert (clone / "odd name").exists() and not (clone / "out").exists()


def test_a_running_workspace_without_git_is_kept(wsdash: Command, tmp_path: Path) -> None:
    assert wsdash("create", "--no-source", "--name", "web", "--yes", "--wait").returncode == 0
    wsdash("ssh", "web", "--", "sh", "-c", "mkdir deep; echo kept >deep/file; ln -s file deep/link")
    asked = pexpect.spawn(PYTHON[0], [*PYTHON[1:], "delete", "web"], timeout=60, encoding="utf-8")
    asked.expect("web has unsaved work: 2 files")
    asked.expect("outside of any Git repository:")
    asked.expect("deep/file")
    asked.sendline("n")
    asked.expect(pexpect.EOF)
    done = wsdash("delete", "web", "--keep-work", "--yes", "--wait")
    assert done.returncode == 0, done.stderr
    (tmp_path / "empty").mkdir()
    run_as_printed(done.stderr, tmp_path / "empty")
    assert (tmp_path / "empty/deep/link").read_text() == "kept\n"


def test_nothing_is_deleted_whose_work_cannot_be_kept(wsdash: Command) -> None:
    assert wsdash("create", "--no-source", "--name", "web", "--yes", "--wait").returncode == 0
    wsdash("ssh", "web", "--", "sh", "-c", "git init -q tools; cd tools; mkfifo .gitignore; echo x >mine")
    done = wsdash("delete", "web", "--keep-work", "--yes")
    assert done.returncode == 1
    assert "cannot be saved, so it is not deleted: tools cannot be looked into" in done.stderr
    assert "The workspace was stopped for this: `wsdash start web` starts it again." in done.stderr
    assert rows(wsdash)["web"]["phase"] == "stopped"


def test_a_workspace_that_nobody_uses_is_stopped_and_says_so(
    wsdash: Command, repository: Path, paths: Paths
) -> None:
    paths.config_file.parent.mkdir(exist_ok=True)
    paths.config_file.write_text("[policy]\nbeat_s = 1\nidle_minutes = 0.1\n")
    assert wsdash("create", str(repository), "--wait").returncode == 0
    # Longer than that, and it is used all the while. On a busy machine the first ssh may come too late.
    used = wsdash("ssh", "web", "--", "sleep", "9")
    while "web is stopped" in used.stderr:
        assert wsdash("start", "web", "--wait").returncode == 0
        used = wsdash("ssh", "web", "--", "sleep", "9")
    assert used.returncode == 0, used.stderr
    assert rows(wsdash)["web"]["phase"] == "running"
    until_sync(lambda: rows(wsdash)["web"]["phase"] == "stopped", 40.0, "the stop")
    assert "autostop after 0.1 min idle" in wsdash("events", "web").stdout


def test_an_autostop_is_announced_and_can_be_put_off(wsdash: Command, repository: Path, paths: Paths) -> None:
    refused = wsdash("extend", "nobody")
    assert refused.returncode == 3
    paths.config_file.parent.mkdir(exist_ok=True)
    paths.config_file.write_text("[policy]\nbeat_s = 1\nmax_hours = 0.05\n")
    assert wsdash("create", str(repository), "--wait").returncode == 0
    assert "`wsdash extend web` postpones it" in wsdash("show", "web").stdout
    assert "no autostop before" in wsdash("extend", "web", "--hours", "0.5").stderr
    assert rows(wsdash)["web"]["phase"] == "running"
    wsdash("extend", "web", "--hours", "9")
    assert "postpones it" not in wsdash("show", "web").stdout
    assert wsdash("restart", "web", "--wait").returncode == 0
    assert rows(wsdash)["web"]["phase"] == "running"


def test_without_an_autostop_there_is_none_to_put_off(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--wait").returncode == 0
    refused = wsdash("extend", "web")
    assert refused.returncode == 1
    assert "web has no autostop" in refused.stderr
