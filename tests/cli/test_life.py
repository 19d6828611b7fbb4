"""The life of real workspaces on this machine, by commands alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.cli.conftest import PYTHON, Command
from tests.repositories import DEVFILE, commit_files, git, make_repository
from tests.screens.terminal import Terminal
from tests.waiting import until_sync
from wsdash.backend.store.reader import Reader
from wsdash.backend.system.clock import boot_time
from wsdash.paths import Paths

pytestmark = pytest.mark.usefixtures("leaves_nothing_running")


@pytest.fixture(autouse=True)
def plain_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs as plain processes: what they run in is tested with the provider."""
    monkeypatch.setenv("WSDASH_ISOLATION", "plain")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "web")


def rows(wsdash: Command) -> dict[str, dict[str, Any]]:
    done = wsdash("list", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return {row["name"]: row for row in json.loads(done.stdout)}


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
        (["web", "--name", "Not A Name"], "is not a name"),
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


def test_a_wait_that_takes_too_long_exits_with_5(wsdash: Command, tmp_path: Path) -> None:
    slow = make_repository(tmp_path / "slow", devfile=DEVFILE.replace("printf", "sleep 60; printf"))
    done = wsdash("create", str(slow), "--wait", "--timeout", "0.5")
    assert done.returncode == 5
    assert "slow is " in done.stderr


def test_following_a_log_ends_with_the_job(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--wait").returncode == 0
    with subprocess.Popen([*PYTHON, "logs", "web", "-f"], stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        first = following.stdout.readline()
        assert wsdash("stop", "web", "--wait").returncode == 0
        assert b"hello from web" in first + following.stdout.read()
        assert following.wait(30) == 0


def test_ctrl_c_ends_a_followed_log_quietly(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--wait").returncode == 0
    with subprocess.Popen(
        [*PYTHON, "logs", "web", "-f"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as following:
        assert following.stdout is not None
        assert following.stderr is not None
        following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 130
        assert following.stderr.read() == b""


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


def unsaved(wsdash: Command) -> dict[str, Any] | None:
    """The output of `show` for scripts."""
    found: dict[str, Any] | None = json.loads(wsdash("show", "web", "--json").stdout)["unsaved"]
    return found


def test_show_tells_what_is_unsaved_now_and_as_of_when(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--wait").returncode == 0
    wsdash("ssh", "web", "--", "sh", "-c", "echo new >notes.txt")
    found = until_sync(lambda: unsaved(wsdash), what="an answer")
    assert (found["files"], found["is_whole"]) == (2, True)
    assert "2 files are unsaved, as of " in wsdash("show", "web").stdout
    assert "notes.txt" not in wsdash("show", "web").stdout
    wsdash("ssh", "web", "--", "rm", "notes.txt", "greeting.txt")
    assert wsdash("stop", "web", "--wait").returncode == 0
    until_sync(lambda: (unsaved(wsdash) or {}).get("files") == 0, what="the look at the stop")
    assert "nothing, as of " in wsdash("show", "web").stdout


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


def test_show_tells_what_is_known_where_nobody_answers_in_time(
    wsdash: Command, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wsdash("create", str(repository), "--wait").returncode == 0
    slow = tmp_path / "bin/git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    shown = wsdash("show", "web")
    assert shown.returncode == 0
    assert "not looked for yet" in shown.stdout


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


def test_create_asks_on_a_terminal(repository: Path, wsdash: Command) -> None:
    asked = pexpect.spawn(PYTHON[0], [*PYTHON[1:], "create", str(repository)], timeout=60, encoding="utf-8")
    asked.expect("GREETING=hello")
    asked.expect(r"Create it\? \[y/N\]")
    asked.sendline("")
    asked.expect("Nothing was created")
    asked.expect(pexpect.EOF)
    assert asked.wait() == 1
    assert rows(wsdash) == {}


def test_on_a_terminal_a_log_is_text_without_control_sequences(wsdash: Command, tmp_path: Path) -> None:
    loud = make_repository(tmp_path / "loud", devfile=DEVFILE.replace("%s from", r"\033]0;owned\007%s from"))
    assert wsdash("create", str(loud), "--wait").returncode == 0
    assert "\x1b]0;owned\x07hello" in wsdash("logs", "loud").stdout
    seen = pexpect.spawn(PYTHON[0], [*PYTHON[1:], "logs", "loud"], timeout=60, encoding="utf-8").read()
    assert "hello from loud" in seen
    assert "\x1b" not in seen


def test_a_new_commit_is_fetched_by_a_new_workspace(wsdash: Command, repository: Path) -> None:
    commit_files(repository, {"news.txt": "new\n"}, "News")
    assert wsdash("create", str(repository), "--wait").returncode == 0
    assert wsdash("ssh", "web", "--", "cat", "news.txt").stdout == "new\n"


def test_the_daemon_is_started_found_and_stopped(wsdash: Command) -> None:
    assert wsdash("daemon", "--status").returncode == 1
    started = wsdash("daemon", "--detach")
    assert started.returncode == 0, started.stderr
    again = wsdash("daemon", "--detach")
    assert (again.returncode, again.stdout) == (0, started.stdout)
    assert wsdash("daemon", "--status").stdout == started.stdout
    assert wsdash("daemon", "--stop").returncode == 0
    assert wsdash("daemon", "--status").returncode == 1
    assert wsdash("daemon", "--stop").stdout == "No daemon is running.\n"


def test_a_long_log_of_a_daemon_is_put_away_by_the_daemon_itself(wsdash: Command, paths: Paths) -> None:
    paths.prepare()
    paths.daemon_log.write_text("an old line\n" * 100_000)
    assert wsdash("daemon", "--detach").returncode == 0
    until_sync(lambda: paths.daemon_log.stat().st_size < 10_000, what="a new log")
    assert paths.daemon_log.with_suffix(".log.1").read_text().startswith("an old line\n")
    assert wsdash("daemon", "--stop").returncode == 0
    assert "ended; jobs keep running" in paths.daemon_log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_daemon_in_the_foreground_ends_cleanly_on_a_signal(
    number: signal.Signals, wsdash: Command, paths: Paths
) -> None:
    with subprocess.Popen([*PYTHON, "daemon"], stderr=subprocess.PIPE, text=True) as running:
        until_sync(lambda: wsdash("daemon", "--status").returncode == 0, 30, "the daemon to reconcile")
        running.send_signal(number)
        assert running.wait(30) == 0
        assert running.stderr is not None
        assert "Traceback" not in running.stderr.read()
    reader = Reader(paths)
    lease = reader.lease()
    reader.close()
    assert lease is not None
    assert not lease.is_held(boot_time())


def test_a_daemon_with_nothing_to_do_ends_itself(wsdash: Command) -> None:
    done = wsdash("daemon", "--idle-exit", "0.5")
    assert done.returncode == 0
    assert "ended" in done.stderr


def test_what_is_wanted_is_done_after_the_daemon_was_killed(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--wait").returncode == 0
    pid = int(wsdash("daemon", "--status").stdout.rpartition("pid ")[2].rstrip(").\n"))
    os.kill(pid, signal.SIGKILL)
    assert wsdash("restart", "web", "--wait").returncode == 0
    assert rows(wsdash)["web"]["attempt"] == 2


def test_doctor_finds_a_sound_machine(wsdash: Command, repository: Path) -> None:
    done = wsdash("doctor", "--json")
    findings = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert {"wsdash", "state", "database", "config", "git", "isolation", "reconciler", "jobs", "disk"} <= {
        finding["subject"] for finding in findings
    }
    assert wsdash("create", str(repository), "--wait").returncode == 0
    assert "every job belongs to a workspace" in wsdash("doctor").stdout


def test_doctor_names_what_is_broken(wsdash: Command, paths: Paths) -> None:
    paths.config.mkdir()
    paths.config_file.write_text("[polcy]\n")
    done = wsdash("doctor", "--json")
    assert done.returncode == 1
    broken = [finding for finding in json.loads(done.stdout) if finding["verdict"] == "broken"]
    assert [finding["subject"] for finding in broken] == ["config"]
    assert "polcy" in broken[0]["text"]


def test_shells_complete_names_of_workspaces(wsdash: Command, repository: Path, tmp_path: Path) -> None:
    assert wsdash("create", str(repository), "--name", "frontend").returncode == 0
    line = "wsdash ssh fro"
    answer = tmp_path / "answer"
    env = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    subprocess.run([Path(PYTHON[0]).with_name("wsdash")], env=env, check=False, timeout=60)
    assert answer.read_text().strip() == "frontend"


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
    assert (forwarded.returncode, "at 127.0.0.1:8080 itself" in forwarded.stderr) == (1, True)
    assert wsdash("ports", "web", "--forward", "x").returncode == 2


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
    assert "The secret NPM_TOKEN is not given to this job." in wsdash("logs", "one").stdout
    assert wsdash(*make, "--name", "two", "--secret", "NPM_TOKEN").returncode == 0
    assert "it is [of-mine]" in wsdash("logs", "two").stdout


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


def run_as_printed(output: str, folder: Path) -> None:
    """The commands that `delete --keep-work` told."""
    commands = [line for line in output.splitlines() if line.startswith("  sh ")]
    assert commands
    for command in commands:
        subprocess.run(["sh", "-c", command], cwd=folder, check=True)


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
    assert "cannot be kept, so it is not deleted: tools cannot be looked into" in done.stderr
    assert "The workspace was stopped for this: `wsdash start web` starts it again." in done.stderr
    assert rows(wsdash)["web"]["phase"] == "stopped"


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


def test_a_workspace_that_nobody_uses_is_stopped_and_says_so(
    wsdash: Command, repository: Path, paths: Paths
) -> None:
    paths.config_file.parent.mkdir(exist_ok=True)
    paths.config_file.write_text("[policy]\nbeat_s = 1\nidle_minutes = 0.1\n")
    assert wsdash("create", str(repository), "--wait").returncode == 0
    # Longer than that, and it is used all the while.
    assert wsdash("ssh", "web", "--", "sleep", "9").returncode == 0
    assert rows(wsdash)["web"]["phase"] == "running"
    until_sync(lambda: rows(wsdash)["web"]["phase"] == "stopped", 40.0, "the stop")
    assert "autostop after 0.1 min idle" in wsdash("events", "web").stdout


def test_an_autostop_is_announced_and_can_be_put_off(wsdash: Command, repository: Path, paths: Paths) -> None:
    refused = wsdash("extend", "nobody")
    assert refused.returncode == 3
    paths.config_file.parent.mkdir(exist_ok=True)
    paths.config_file.write_text("[policy]\nbeat_s = 1\nmax_hours = 0.003\n")
    assert wsdash("create", str(repository), "--wait").returncode == 0
    assert "`wsdash extend web` puts it off" in wsdash("show", "web").stdout
    assert "no autostop before" in wsdash("extend", "web", "--hours", "0.5").stderr
    assert rows(wsdash)["web"]["phase"] == "running"
    wsdash("extend", "web", "--hours", "9")
    assert "puts it off" not in wsdash("show", "web").stdout
    assert wsdash("restart", "web", "--wait").returncode == 0
    assert rows(wsdash)["web"]["phase"] == "running"


def test_without_an_autostop_there_is_none_to_put_off(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--wait").returncode == 0
    refused = wsdash("extend", "web")
    assert refused.returncode == 1
    assert "web has no autostop" in refused.stderr


def test_a_workspace_without_an_editor_is_named_with_what_would_bring_one(
    wsdash: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert wsdash("create", "--no-source", "--name", "web", "--yes", "--wait").returncode == 0
    done = wsdash("open", "web")
    assert done.returncode == 1
    assert "no editor can be opened in web: The workspace has no editor" in done.stderr
    assert "injector_image" in done.stderr


def test_update_shows_the_changes_of_the_job_and_replaces_it(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--name", "web", "--wait").returncode == 0
    same = wsdash("update", "web", "--yes")
    assert (same.returncode, "already runs its current devfile" in same.stdout) == (0, True)
    assert wsdash("ssh", "web", "--", "sh", "-c", "echo mine >mine.txt").returncode == 0
    commit_files(repository, {"devfile.yaml": DEVFILE.replace("value: hello", "value: good day")}, "Greet")
    assert wsdash("update", "web").returncode == 2  # it asks, and nobody is there to answer
    updated = wsdash("update", "web", "--yes", "--wait")
    assert updated.returncode == 0, updated.stderr
    assert "-  export GREETING=hello" in updated.stdout
    assert "+  export GREETING='good day'" in updated.stdout
    row = rows(wsdash)["web"]
    assert (row["phase"], row["attempt"]) == ("running", 2)
    assert wsdash("ssh", "web", "--", "sh", "-c", "cat mine.txt; echo $GREETING").stdout == "mine\ngood day\n"
    assert "updated" in wsdash("events", "web").stdout
    assert wsdash("stop", "web", "--wait").returncode == 0
    commit_files(repository, {"devfile.yaml": DEVFILE}, "Greet as before")
    assert "from its next start on" in wsdash("update", "web", "--yes").stdout
    assert rows(wsdash)["web"]["phase"] == "stopped"
    assert wsdash("start", "web", "--wait").returncode == 0
    assert wsdash("ssh", "web", "--", "sh", "-c", "echo $GREETING").stdout == "hello\n"
