"""An upgrade: running jobs, records, caches, exports and files of the version before are understood for one release.

The version before comes out of this repository's own history, and is replaced in place, as pip does it: what still runs
of it finds its modules gone.
"""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.backend.access.conftest import SSHD
from tests.e2e.gitlab_work import PATIENCE_S, Work, working
from tests.gitlab_runner import Runner
from tests.repositories import commit_files, make_repository
from tests.waiting import until_sync
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.paths import Paths

pytestmark = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None, reason="OpenSSH is not installed"
)

CHECKOUT = Path(__file__).parents[2]
BEFORE = "12343ae"
"""The last commit before modules, columns and scripts were given the names that they have."""
DEVFILE = """\
schemaVersion: 2.2.0
attributes: {wsdash/secrets: [MINE]}
components: [{name: main, container: {image: alpine}}]
commands:
- {id: note, exec: {component: main, commandLine: 'cat ~/note || echo nothing kept; echo kept work >~/note'}}
events: {postStart: [note]}
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaves_nothing_running: None) -> Path:
    """A folder of Python packages with the wsdash before in it, which commands run from now on."""
    asked = subprocess.run(
        ["git", "archive", "--format=tar", BEFORE, "wsdash"], cwd=CHECKOUT, capture_output=True, check=False
    )
    if asked.returncode != 0:
        pytest.skip(f"the history of this checkout does not have {BEFORE} (a shallow clone, or no clone)")
    folder = tmp_path / "site"
    with tarfile.open(fileobj=io.BytesIO(asked.stdout)) as archive:
        archive.extractall(folder, filter="data")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.chdir(tmp_path)  # not this checkout, whose package would come first
    monkeypatch.setenv("HOME", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    return folder


def upgrade(site: Path) -> None:
    """In place, under all that runs."""
    shutil.rmtree(site / "wsdash")
    shutil.copytree(CHECKOUT / "wsdash", site / "wsdash", ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture
def setting(request: pytest.FixtureRequest) -> str:
    """A line of the context in config.toml, "" for none."""
    return str(getattr(request, "param", ""))


@pytest.fixture
def work(
    tmp_path: Path, paths: Paths, site: Path, setting: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Work]:
    monkeypatch.setenv("MINE", "s3cret-of-mine")
    (tmp_path / "volume").mkdir()
    # It looks for the tags of runners in a list in which GitLab does not have them.
    with working(tmp_path, paths, Runner, tags=["big-disk"], devfile=DEVFILE, options=["--force"]) as work:
        text = paths.config_file.read_text()
        text = text.replace("poll_s = 0.3\n", f"poll_s = 0.3\n{setting.format(volume=tmp_path / 'volume')}\n")
        text = text.replace(
            "suspect_s = 2\ndead_s = 4\n", "suspect_s = 10\ndead_s = 15\n"
        )  # a busy machine is slow
        paths.config_file.write_text(text.replace("[policy]\n", "[policy]\ncheckpoint_s = 1\n"))
        work.asks_command = True
        work.run(
            "create", work.source, "--context", "work", "--name", "app", "--secret", "MINE", "--yes", "--wait"
        )
        work.wait_for(phase="running", attempt=1)
        inside(work, "echo precious >notes.txt; echo home >~/home.txt")
        yield work


def inside(work: Work, line: str, name: str = "app") -> str:
    return work.run("ssh", name, "--", "sh", "-c", line)


def changes(work: Work, key: str) -> None:
    """Wait until the workspace's row has another value of it than now."""
    before = work.row()[key]
    until_sync(lambda: work.row()[key] not in (None, before), PATIENCE_S, f"another {key}")


def until_saved(work: Work) -> None:
    """A checkpoint that was begun after this was called."""
    changes(work, "saved_at")
    changes(work, "saved_at")


def reconciler_before(paths: Paths) -> ProcessIdentity:
    """The process that holds the lease, by the schema of the version before."""
    with closing(sqlite3.connect(paths.database)) as connection:
        return ProcessIdentity(*connection.execute("SELECT pid, pid_start, boot_id FROM lease").fetchone())


def relay(paths: Paths) -> ProcessIdentity:
    found = ProcessIdentity.from_record(
        json.loads((paths.state / "access/relay.json").read_text())["process"]
    )
    assert found is not None
    return found


def ssh_by_name(tmp_path: Path, *arguments: str) -> str:
    """By the user's own ssh, whose configuration the version before has installed."""
    argv = ["ssh", "-F", str(tmp_path / "own/.ssh/config"), "-o", "BatchMode=yes", "-o", "ControlPath=none"]
    done = subprocess.run([*argv, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


STAYS = ("name", "id", "context", "source", "desired", "attempt", "job", "created_at", "started_at")


@pytest.mark.parametrize(
    "setting",
    ["", "encrypt_cache = true", 'volume = "{volume}"'],
    indirect=True,
    ids=["cache", "encrypted", "volume"],
)
def test_a_job_on_a_gitlab_goes_on_is_entered_and_saved_and_gives_what_it_has_to_the_next(
    work: Work, site: Path, setting: str, tmp_path: Path
) -> None:
    work.run("ssh-config", "install", "--yes")
    before, daemon, old_relay = work.row(), reconciler_before(work.paths), relay(work.paths)

    upgrade(site)
    assert ssh_by_name(tmp_path, "app.wsdash", "cat notes.txt") == "precious\n"
    work.asks_command = False
    (after,) = json.loads(work.run("list", "--json"))
    assert [after[key] for key in STAYS] == [before[key] for key in STAYS]
    work.run("daemon", "--detach")
    until_sync(lambda: not daemon.is_alive(), PATIENCE_S, "the end of the daemon before")
    until_sync(lambda: not old_relay.is_alive(), PATIENCE_S, "the end of the relay before")
    assert inside(work, "cat notes.txt; echo $MINE") == "precious\ns3cret-of-mine\n"
    assert ssh_by_name(tmp_path, "app.wsdash", "cat notes.txt") == "precious\n"
    assert json.loads(work.run("ports", "app", "--json")) == []
    until_sync(
        lambda: "up: it transports heartbeats" in work.run("show", "app"), PATIENCE_S, "its heartbeats"
    )
    changes(work, "last_beat_at")
    inside(work, "echo since >since.txt")
    if "volume" not in setting:  # from which nothing is saved
        until_saved(work)
    work.wait_for(phase="running", healthy=True, attempt=1, job=before["job"])

    work.run("stop", "app", "--wait")
    shutil.rmtree(work.runner.folder / "builds")
    work.run("start", "app", "--wait")
    work.wait_for(phase="running", attempt=2)
    show = "cat notes.txt since.txt ~/home.txt; echo $MINE"
    assert inside(work, show) == "precious\nsince\nhome\ns3cret-of-mine\n"
    until_sync(lambda: "kept work" in work.run("logs", "app"), PATIENCE_S, "the log of the second job")
    work.run("delete", "app", "--yes", "--wait")
    assert list(work.project.repository.branches()) == ["main"]
    assert work.server.state.pipelines == {}
    assert work.project.variables == {}
    assert list((tmp_path / "volume").iterdir()) == []


def test_a_checkpoint_and_an_export_of_the_version_before_come_back_in_new_jobs(
    work: Work, site: Path, tmp_path: Path
) -> None:
    archive = str(tmp_path / "app.tar.gz")
    work.run("export", "app", archive)
    until_saved(work)

    upgrade(site)
    work.asks_command = False
    work.runner.kill()
    shutil.rmtree(work.runner.folder)
    work.run("daemon", "--detach")
    work.wait_for(phase="pending", attempt=2)
    work.runner.start()
    work.wait_for(phase="running", attempt=2)
    assert inside(work, "cat notes.txt") == "precious\n"
    work.run("import", archive, "--name", "moved", "--context", "work", "--start")
    work.wait_for("moved", phase="running", attempt=1)
    until_sync(
        lambda: "precious\nhome\n" in inside(work, "cat notes.txt ~/home.txt || :", "moved"),
        PATIENCE_S,
        "the imported files",
    )
    work.run("delete", "app", "moved", "--yes", "--wait")
    assert list(work.project.repository.branches()) == ["main"]


def test_with_the_state_lost_a_workspace_is_adopted_by_its_record_on_the_branch_and_updated(
    work: Work, site: Path
) -> None:
    before = work.row()
    work.run("daemon", "--stop")
    upgrade(site)
    work.asks_command = False
    shutil.rmtree(work.paths.state)
    (output,) = (
        one
        for one in json.loads(work.run("recover", "--context", "work", "--adopt", "app", "--yes", "--json"))
        if one["context"] == "work"
    )
    assert output["recovered"] == ["app"]
    after = work.wait_for(phase="running", attempt=1)
    assert [after[key] for key in (*RECORDED, "job")] == [before[key] for key in (*RECORDED, "job")]
    assert len(work.server.state.pipelines) == 1

    changed = {
        "action": "update",
        "file_path": "devfile.yaml",
        "content": DEVFILE.replace("kept work", "new work"),
    }
    work.project.repository.commit("main", "Change", [changed], author="ada")
    work.run("update", "app", "--force", "--yes", "--wait")
    work.wait_for(phase="running", attempt=2)
    assert (
        inside(work, "cat notes.txt ~/home.txt ~/note; echo $MINE")
        == "precious\nhome\nnew work\ns3cret-of-mine\n"
    )
    work.run("delete", "app", "--yes", "--wait")
    assert list(work.project.repository.branches()) == ["main"]
    assert work.server.state.pipelines == {}
    assert work.project.variables == {}


RECORDED = ("id", "name", "context", "source", "ref", "devfile", "desired", "created_at")


def test_a_job_on_this_machine_goes_on_and_all_that_the_version_before_left_is_understood(
    paths: Paths, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINE", "s3cret-of-mine")
    devfile = DEVFILE.replace("components:", "metadata: {name: web}\ncomponents:")
    source = make_repository(tmp_path / "web", devfile=devfile)
    archive = str(tmp_path / "web.tar.gz")
    wsdash("create", str(source), "--name", "web", "--secret", "MINE", "--yes", "--wait")
    wsdash("create", "--no-source", "--name", "idle", "--yes", "--wait")
    wsdash("stop", "idle", "--wait")
    wsdash("ssh-config", "install", "--yes")
    wsdash("ssh", "web", "--", "sh", "-c", "echo precious >notes.txt; echo home >~/home.txt")
    wsdash("export", "web", archive)
    before, daemon = rows(), reconciler_before(paths)

    upgrade(site)
    after = rows()
    assert [[row[key] for key in STAYS] for row in after] == [[row[key] for key in STAYS] for row in before]
    show = "cat notes.txt ~/home.txt; echo $MINE"
    kept = "precious\nhome\ns3cret-of-mine\n"
    assert wsdash("ssh", "web", "--", "sh", "-c", show) == kept
    assert ssh_by_name(tmp_path, "web.wsdash", show) == kept
    assert json.loads(wsdash("ports", "web", "--json")) == []
    wsdash("daemon", "--detach")
    until_sync(lambda: not daemon.is_alive(), PATIENCE_S, "the end of the daemon before")
    installed = paths.state / "access/ssh_config"
    until_sync(
        lambda: "proxy_command.py" in installed.read_text(), PATIENCE_S, "the configuration of this version"
    )
    assert ssh_by_name(tmp_path, "web.wsdash", show) == kept
    beat = {row["name"]: row["last_beat_at"] for row in after}["web"]
    until_sync(lambda: row_of("web")["last_beat_at"] != beat, PATIENCE_S, "a heartbeat")
    until_sync(lambda: row_of("web")["healthy"], PATIENCE_S, "a healthy job")
    assert row_of("web")["attempt"] == 1

    wsdash("daemon", "--stop")
    for file in paths.state.glob("state.db*"):
        file.unlink()
    shutil.rmtree(paths.state / "backups")
    wsdash("recover", "--yes")
    wsdash("daemon", "--detach")
    until_sync(lambda: row_of("web")["phase"] == "running", PATIENCE_S, "the adopted job")
    assert (row_of("web")["attempt"], row_of("idle")["phase"]) == (1, "stopped")
    wsdash("stop", "web", "--wait")
    wsdash("start", "web", "idle", "--wait")
    assert wsdash("ssh", "web", "--", "sh", "-c", show) == kept
    commit_files(source, {"devfile.yaml": devfile.replace("kept work", "new work")}, "Change")
    wsdash("update", "web", "--yes", "--wait")
    assert wsdash("ssh", "web", "--", "sh", "-c", f"{show}; cat ~/note") == f"{kept}new work\n"
    wsdash("import", archive, "--name", "moved", "--start")
    until_sync(lambda: row_of("moved")["phase"] == "running", PATIENCE_S, "the import")
    assert wsdash("ssh", "moved", "--", "cat", "notes.txt") == "precious\n"
    wsdash("delete", "web", "idle", "moved", "--yes", "--wait")
    place = paths.contexts / "local"
    left = [
        path for room in ("workspaces", "jobs", "secrets", "credentials") for path in (place / room).iterdir()
    ]
    assert left == []


def wsdash(*arguments: str) -> str:
    """The output of the command that is installed in `site`."""
    argv = [sys.executable, "-m", "wsdash", *arguments]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows() -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(wsdash("list", "--json"))
    return sorted(found, key=lambda row: str(row["name"]))


def row_of(name: str) -> dict[str, object]:
    return next(row for row in rows() if row["name"] == name)
