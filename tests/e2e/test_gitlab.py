"""Workspaces on a GitLab, by the command line and the dashboard: python-gitlab, the job's scripts, a runner."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.widgets import Input

from tests.gitlab_runner import Runner
from tests.gitlab_runner.real import PROGRAM, RealRunner
from tests.gitlab_server import GitLabServer
from tests.gitlab_server.state import Project
from tests.waiting import until, until_sync
from wsdash.app import WsdashApp
from wsdash.paths import Paths
from wsdash.screens.create import CreateScreen

DEVFILE = """\
schemaVersion: 2.2.0
components: [{name: main, container: {image: alpine}}]
commands:
- {id: note, exec: {component: main, commandLine: 'cat ~/note || echo nothing kept; echo kept work >~/note'}}
events: {postStart: [note]}
"""
CONFIG = """
[contexts.work]
poll_s = 0.3

[policy]
beat_s = 1
suspect_s = 2
dead_s = 4
grace_s = 30
shortest_run_s = 1
ladder_s = [0.2]
"""
PATIENCE_S = 80.0


@dataclass
class Work:
    """A user with a context for a project, and a runner."""

    server: GitLabServer
    project: Project
    runner: Runner
    paths: Paths
    source: str

    def run(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "wsdash", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def row(self, name: str = "app") -> dict[str, object]:
        rows: list[dict[str, object]] = json.loads(self.run("list", "--all", "--json"))
        return next((row for row in rows if row["name"] == name), {})

    def wait_for(self, name: str = "app", **wanted: object) -> dict[str, object]:
        def holds() -> dict[str, object] | None:
            row = self.row(name)
            return row if all(row.get(key) == value for key, value in wanted.items()) else None

        return until_sync(holds, PATIENCE_S, f"{name} with {wanted}")

    def create(self) -> None:
        self.run("create", self.source, "--context", "work", "--name", "app", "--yes", "--wait")


@pytest.fixture(params=["the small runner", "gitlab-runner"])
def make_runner(request: pytest.FixtureRequest) -> Callable[[str, str, Path], Runner]:
    """The tests' own runner; and the real one, where that program is installed."""
    if request.param == "the small runner":
        return Runner
    if PROGRAM is None:
        pytest.skip("gitlab-runner is not on the PATH; docs/gitlab-test-server.md tells how it is attached")
    return RealRunner


@pytest.fixture
def work(
    tmp_path: Path,
    paths: Paths,
    make_runner: Callable[[str, str, Path], Runner],
    leaves_nothing_running: None,
) -> Iterator[Work]:
    with GitLabServer(tmp_path / "gitlab") as server:
        user = server.add_user("ada")
        project = server.add_project("group/app", {"devfile.yaml": DEVFILE}, owners=[user])
        token = server.add_token(user)
        runner = make_runner(server.url, server.add_runner().token, tmp_path / "runner")
        where = ["--url", server.url, "--project", "group/app", "--job-timeout", "1h"]
        added = subprocess.run(
            [sys.executable, "-m", "wsdash", "context", "add", "work", "--token-stdin", *where],
            input=token + "\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert added.returncode == 0, added.stderr
        written = paths.config_file.read_text()
        paths.config_file.write_text(
            written.replace("[contexts.work]\n", CONFIG.partition("[policy]")[0].lstrip())
        )
        with paths.config_file.open("a") as file:
            file.write("\n[policy]" + CONFIG.partition("[policy]")[2])
        with runner:
            work = Work(server, project, runner, paths, f"{server.url}/group/app.git")
            yield work
            subprocess.run(
                [sys.executable, "-m", "wsdash", "daemon", "--stop"], check=False, capture_output=True
            )


def test_a_workspace_is_created_seen_alive_stopped_with_its_cache_and_deleted_without_a_trace(
    work: Work,
) -> None:
    work.create()
    first = work.wait_for(phase="running", attempt=1)
    assert "nothing kept" in work.run("logs", "app")
    until_sync(lambda: work.row()["last_beat_at"] != first["last_beat_at"], PATIENCE_S, "another heartbeat")
    work.run("stop", "app", "--wait")
    work.run("start", "app", "--wait")
    work.wait_for(phase="running", attempt=2)
    until_sync(lambda: "kept work" in work.run("logs", "app"), PATIENCE_S, "the log of the second job")
    work.run("delete", "app", "--yes", "--wait")
    assert list(work.project.repository.branches()) == ["main"]
    assert work.server.state.pipelines == {}


def test_doctor_tells_what_the_context_lacks(work: Work) -> None:
    assert "you own group/app" in work.run("doctor")
    work.project.archived = True
    assert "group/app is archived" in work.run("doctor", code=1)


def test_a_runner_that_dies_without_a_goodbye_costs_one_replacement(work: Work, tmp_path: Path) -> None:
    work.create()
    work.wait_for(phase="running", attempt=1)
    work.runner.kill()
    work.wait_for(phase="pending", attempt=2)
    until_sync(
        lambda: {p.status for p in work.server.state.pipelines.values()} == {"canceled", "pending"},
        PATIENCE_S,
        "the replacement in the queue",
    )
    work.runner.start()
    work.wait_for(phase="running", attempt=2)
    assert "runner-lost" in work.run("events", "app")


def test_a_job_ends_by_itself_before_its_time_limit_and_the_next_one_follows(work: Work) -> None:
    text = work.paths.config_file.read_text()
    work.paths.config_file.write_text(text.replace("timeout_s = 3600", "timeout_s = 40"))
    work.create()
    work.wait_for(phase="running", attempt=1)
    work.wait_for(phase="running", attempt=2)
    until_sync(lambda: "kept work" in work.run("logs", "app"), PATIENCE_S, "the log of the second job")
    ended = next(p for p in work.server.state.pipelines.values() if p.status == "success")
    assert ended.name is not None and " deadline " in ended.name
    assert "deadline" in work.run("events", "app")


def test_with_the_state_store_lost_everything_comes_back_from_gitlab(work: Work) -> None:
    work.create()
    before = work.wait_for(phase="running", attempt=1)
    work.run("daemon", "--stop")
    shutil.rmtree(work.paths.state)
    assert json.loads(work.run("list", "--json")) == []
    told = json.loads(work.run("recover", "--yes", "--json"))
    assert told[0]["recovered"] == ["app"]
    after = work.wait_for(phase="running", attempt=1)
    same = ("id", "name", "context", "source", "ref", "devfile", "desired", "created_at", "job")
    assert [after[key] for key in same] == [before[key] for key in same]
    assert len(work.server.state.pipelines) == 1
    assert json.loads(work.run("recover", "--yes", "--json"))[0]["recovered"] == []


async def test_the_dashboard_creates_and_stops_a_workspace_on_gitlab(work: Work) -> None:
    await asyncio.to_thread(work.run, "context", "use", "work")
    app = WsdashApp(work.paths)
    async with app.run_test(size=(120, 40)) as pilot:

        async def shows(text: str) -> bool:
            await pilot.pause()
            return any(text in str(row.status.phase) for row in app.rows)

        await until(lambda: app.connected, PATIENCE_S, "the open store")
        await pilot.press("a")
        await until(lambda: isinstance(app.screen, CreateScreen), PATIENCE_S, "the form")
        app.screen.query_one("#source", Input).value = work.source
        await pilot.press("enter")
        await until(lambda: app.screen.has_class("-previewed"), PATIENCE_S, "the job, shown")
        await pilot.press("enter")
        await until(lambda: shows("running"), PATIENCE_S, "the workspace running")
        await pilot.press("x")
        await until(lambda: shows("stopped"), PATIENCE_S, "the workspace stopped")
        await app.session.close()
    assert {p.status for p in work.server.state.pipelines.values()} == {"canceled"}
