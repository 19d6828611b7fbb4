"""Workspaces on a GitLab, by the command line and the dashboard: python-gitlab, the job's scripts, a runner."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from textual.widgets import Input

from tests.backend.access.conftest import SSHD
from tests.e2e.gitlab_work import DEVFILE, PATIENCE_S, MakeRunner, Work, working
from tests.gitlab_runner import Runner
from tests.gitlab_runner.real import PROGRAM, RealRunner
from tests.gitlab_server.faults import Fault
from tests.gitlab_server.state import Variable
from tests.waiting import until, until_sync
from wsdash.app import WsdashApp
from wsdash.backend.service import Service, UnsavedWork
from wsdash.paths import Paths
from wsdash.screens.create_form import CreateScreen


@pytest.fixture(params=["the small runner", "gitlab-runner"])
def make_runner(request: pytest.FixtureRequest) -> MakeRunner:
    """The tests' own runner; and the real one, where that program is installed."""
    if request.param == "the small runner":
        return Runner
    if PROGRAM is None:
        pytest.skip("gitlab-runner is not on the PATH; docs/gitlab-test-server.md tells how it is attached")
    return RealRunner


@pytest.fixture
def work(
    tmp_path: Path, paths: Paths, make_runner: MakeRunner, leaves_nothing_running: None
) -> Iterator[Work]:
    with working(tmp_path, paths, make_runner) as work:
        yield work


@pytest.fixture
def work_of_own(
    tmp_path: Path, paths: Paths, make_runner: MakeRunner, leaves_nothing_running: None
) -> Iterator[Work]:
    with working(tmp_path, paths, make_runner, "ada/workspaces", "own") as work:
        yield work


@pytest.mark.short
def test_a_workspace_is_created_seen_alive_stopped_with_its_cache_and_deleted_without_a_trace(
    work: Work,
) -> None:
    work.create()
    first = work.wait_for(phase="running", attempt=1)
    until_sync(lambda: "nothing kept" in work.run("logs", "app"), PATIENCE_S, "the log of the first job")
    log, raw = work.run("logs", "app"), work.run("logs", "app", "--raw")
    assert "section_start" in raw and "gitlab.sh" in raw and "wsdash: cloning" in log
    assert not any(
        word in log for word in ("section_start", "gitlab.sh", "wsdash/1", "Running with gitlab-runner")
    )
    until_sync(lambda: work.row()["last_beat_at"] != first["last_beat_at"], PATIENCE_S, "another heartbeat")
    work.run("stop", "app", "--wait")
    work.run("start", "app", "--wait")
    work.wait_for(phase="running", attempt=2)
    until_sync(lambda: "kept work" in work.run("logs", "app"), PATIENCE_S, "the log of the second job")
    until_sync(lambda: "stores caches on its own disk" in work.run("show", "app"), PATIENCE_S, "a notice")
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


@pytest.mark.skipif(SSHD is None, reason="there is no sshd (openssh-server)")
@pytest.mark.parametrize("options", [["--json"], ["--forward", "8080"]], ids=["list", "forward"])
def test_ports_wait_for_the_job_that_takes_the_place_of_one_that_was_killed_with_its_runner(
    work: Work, tmp_path: Path, options: list[str]
) -> None:
    """While GitLab still says that it runs."""
    work.create()
    work.run("ssh", "app", "--", "true")
    work.runner.kill()
    work.wait_for(phase="pending", attempt=2)
    there = str(tmp_path / "app.sock")
    argv = [sys.executable, "-m", "wsdash", "ports", "app", *options]
    argv += ["--socket", there] if "--forward" in options else []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asked:
        try:
            work.runner.start()
            work.wait_for(phase="running", attempt=2)
            if "--forward" in options:
                until_sync(lambda: Path(there).exists(), PATIENCE_S, "the socket")
            else:
                printed, complained = asked.communicate(timeout=PATIENCE_S)
                assert asked.returncode == 0, complained
                assert {port["listening"] for port in json.loads(printed)} <= {True, False}
        finally:
            asked.terminate()


def lines_of(work: Work, text: str, name: str) -> None:
    until_sync(lambda: text in work.run("logs", "app"), PATIENCE_S, f"{text!r} in the log of {name}")


@pytest.mark.long
def test_a_cache_that_did_not_come_is_told_once_and_the_workspace_saves_again(
    work: Work, tmp_path: Path
) -> None:
    work.create()
    lines_of(work, "nothing kept", "the first job")
    work.run("stop", "app", "--wait")
    assert "in the cache, as its job ended" in work.run("show", "app")
    shutil.rmtree(work.runner.folder / "builds")
    (work.runner.folder / "cache").rename(tmp_path / "the other runner's")
    work.run("start", "app", "--wait")
    work.wait_for(phase="running", attempt=2)
    lines_of(work, "The saved state did not come with the cache", "the job on another runner")
    lines_of(work, "nothing kept", "the job on another runner")
    until_sync(lambda: "did not come with the cache" in work.run("show", "app"), PATIENCE_S, "a notice")
    work.run("stop", "app", "--wait")
    shutil.rmtree(work.runner.folder / "builds")
    work.run("start", "app", "--wait")
    work.wait_for(phase="running", attempt=3)
    lines_of(work, "kept work", "the third job, which has what the second one saved")
    assert "did not come" not in work.run("logs", "app")
    work.run("stop", "app", "--wait")
    # The first runner again, with what it has of the first job.
    shutil.rmtree(work.runner.folder / "builds")
    shutil.rmtree(work.runner.folder / "cache")
    shutil.copytree(tmp_path / "the other runner's", work.runner.folder / "cache")
    work.run("start", "app", "--wait")
    work.wait_for(phase="running", attempt=4)
    lines_of(work, "This job uses the state 1.1", "the job with the older state")
    lines_of(work, "kept work", "the job with the older state")


def test_a_workspace_finds_nothing_of_the_one_that_ran_in_the_same_place_before(work: Work) -> None:
    work.create()
    lines_of(work, "nothing kept", "the first workspace")
    work.run("stop", "app", "--wait")
    work.run("create", work.source, "--context", "work", "--name", "other", "--yes", "--wait")
    until_sync(lambda: "nothing kept" in work.run("logs", "other"), PATIENCE_S, "its log")


def test_a_job_whose_token_gitlab_takes_no_more_saves_its_work_and_ends(work: Work) -> None:
    work.create()
    work.wait_for(phase="running", attempt=1)
    lines_of(work, "nothing kept", "the first job")
    job = next(iter(work.server.state.jobs.values()))
    refusals = [
        work.server.faults.add(Fault.TOKEN_REVOKED, path=path)
        for path in (f"/pipelines/{job.pipeline.id}/metadata$", "/api/v4/job$")
    ]
    until_sync(lambda: job.status == "success", PATIENCE_S, "the job to end by itself")
    assert b"the job saves its work and ends" in bytes(job.trace)
    for refusal in refusals:
        work.server.faults.remove(refusal)
    work.wait_for(phase="running", attempt=2)
    lines_of(work, "kept work", "the second job")


def test_with_the_state_store_lost_everything_comes_back_from_gitlab(work: Work) -> None:
    work.create()
    before = work.wait_for(phase="running", attempt=1)
    work.run("daemon", "--stop")
    shutil.rmtree(work.paths.state)
    assert json.loads(work.run("list", "--json")) == []
    output = json.loads(work.run("recover", "--yes", "--json"))
    assert {one["context"]: one["recovered"] for one in output} == {"local": [], "work": ["app"]}
    after = work.wait_for(phase="running", attempt=1)
    same = ("id", "name", "context", "source", "ref", "devfile", "desired", "created_at", "job")
    assert [after[key] for key in same] == [before[key] for key in same]
    assert len(work.server.state.pipelines) == 1
    assert not any(one["recovered"] for one in json.loads(work.run("recover", "--yes", "--json")))


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


def test_in_a_project_of_ones_own_the_code_is_cloned_with_the_jobs_token(work_of_own: Work) -> None:
    work = work_of_own
    own = next(p for p in work.server.state.projects.values() if p.path == "ada/workspaces")
    output = work.run_stderr(
        "create", work.source, "--context", "work", "--name", "app", "--yes", "--wait", code=1
    )
    assert "jobs of ada/workspaces may not clone group/app" in output
    assert "Job token permissions, add ada/workspaces" in output
    work.wait_for(phase="failed")
    assert "jobs of ada/workspaces may not clone group/app" in work.run("doctor")
    work.project.allowlist.add(own.id)
    work.run("restart", "app", "--wait")
    work.wait_for(phase="running")
    until_sync(lambda: "nothing kept" in work.run("logs", "app"), PATIENCE_S, "the log of the first job")
    assert list(work.project.repository.branches()) == ["main"]
    work.run("delete", "app", "--yes", "--wait")
    assert list(own.repository.branches()) == ["main"]
    assert work.server.state.pipelines == {}


def test_a_secret_comes_from_the_project_alone_which_keeps_it_for_its_workspace(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.project.variables["NPM_TOKEN"] = Variable("s3cret value")
    devfile = work.paths.config_file.parent / "devfile.yaml"
    devfile.write_text(
        "schemaVersion: 2.2.0\nattributes: {wsdash/secrets: [NPM_TOKEN, OTHER]}\n"
        "components: [{name: main, container: {image: alpine}}]\n"
        "commands:\n- {id: use, exec: {component: main, commandLine: 'echo lengths ${#NPM_TOKEN} ${#OTHER}'}}\n"
        "events: {postStart: [use]}\n"
    )
    arguments = ("--devfile", str(devfile), "--context", "work", "--yes", "--wait")
    output = work.run_stderr("create", work.source, *arguments, "--name", "bare")
    assert "the secret OTHER is not a CI/CD variable of group/app" in output
    assert "NPM_TOKEN is" not in output
    until_sync(lambda: "lengths 12 0" in work.run("logs", "bare"), PATIENCE_S, "the log of the job")
    assert "The secret OTHER is not set in this job" in work.run("logs", "bare")
    work.run("delete", "bare", "--yes", "--wait")
    monkeypatch.setenv("OTHER", "s3cret-of-mine")
    output += work.run_stderr("create", work.source, *arguments, "--name", "app", "--secret", "OTHER")
    until_sync(lambda: "lengths 12 14" in work.run("logs", "app"), PATIENCE_S, "the log of the job")
    log = work.run("logs", "app", "--raw")
    branch = next(name for name in work.project.repository.branches() if name.startswith("wsdash/"))
    committed = work.project.repository.read(branch, ".gitlab-ci.yml")
    assert committed is not None and "NPM_TOKEN" in committed
    everything = committed + output + log + work.run("list", "--json") + str(work.paths.database.read_bytes())
    assert "s3cret" not in everything
    assert len(work.project.variables) == 2
    work.run("delete", "app", "--yes", "--wait")
    assert list(work.project.variables) == ["NPM_TOKEN"]


async def unsaved_work(work: Work) -> UnsavedWork | None:
    async with Service.open(work.paths) as service:
        return await service.work.unsaved_work((await service.queries.find("app")).id)


SERVE = """
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello from " + self.path.encode())
server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
open("port", "w").write(str(server.server_port))
server.serve_forever()
"""


def forwards_what_it_listens_on(work: Work, tmp_path: Path) -> None:
    """A server in the job is listed, and reached by a socket and by a port of this machine."""
    (tmp_path / "serve.py").write_text(SERVE)
    script = (tmp_path / "serve.py").as_posix()
    work.run("ssh", "app", "--", "sh", "-c", f"cd; nohup python3 {script} >/dev/null 2>&1 </dev/null &")

    def listed() -> list[dict[str, object]]:
        return [port for port in json.loads(work.run("ports", "app", "--json")) if port["program"]]

    until_sync(lambda: bool(listed()), what="the server in the list")
    (port,) = listed()
    assert (port["program"], port["loopback"], port["declared"]) == ("python3", True, False)
    number = port["port"]
    assert number == int(work.run("ssh", "app", "--", "sh", "-c", "cat ~/port"))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        here = probe.getsockname()[1]
    forward = [sys.executable, "-m", "wsdash", "ports", "app", "--forward", f"{number}:{here}"]
    on_socket = [*forward[:-1], str(number), "--socket", str(tmp_path / "app.sock")]
    running = [subprocess.Popen(argv, stderr=subprocess.DEVNULL) for argv in (forward, on_socket)]
    try:
        until_sync(lambda: _answers(("127.0.0.1", here)), what="the port")
        until_sync(lambda: _answers(str(tmp_path / "app.sock")), what="the socket")
        assert stat.S_IMODE((tmp_path / "app.sock").stat().st_mode) == 0o600
    finally:
        for process in running:
            process.terminate()
            process.wait(60)


def _answers(address: tuple[str, int] | str) -> bool:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as line, suppress(OSError):
        line.connect(address)
        line.sendall(b"GET /there HTTP/1.0\r\n\r\n")
        return b"hello from /there" in b"".join(iter(lambda: line.recv(4096), b""))
    return False


@pytest.mark.skipif(SSHD is None, reason="sshd is not installed")
def test_ssh_leads_into_the_workspace_by_the_line_that_its_job_holds(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    work.create()
    assert work.run("ssh", "app", "--", "sh", "-c", "echo $PROJECT_SOURCE; cat devfile.yaml").endswith(
        DEVFILE
    )
    about = json.loads(work.run("code", "app", "--json"))
    assert [about["folder"], about["user"]] == work.run("ssh", "app", "--", "pwd; id -un").splitlines()
    assert work.run("ssh", "app", "--", "printf", "%s|", "a b", "$HOME", "it's") == "a b|$HOME|it's|"
    work.run("ssh", "app", "--", "false", code=1)
    work.run("ssh", "app", "--", "sh", "-c", "echo kept >~/file")
    work.run("restart", "app", "--wait")
    work.wait_for(phase="running", attempt=2)
    assert work.run("ssh", "app", "--", "sh", "-c", "cat ~/file") == "kept\n"
    work.run("ssh", "app", "--", "sh", "-c", "echo new >notes.txt")
    unsaved = asyncio.run(unsaved_work(work))
    assert unsaved is not None and unsaved.uncommitted == ("?? notes.txt",) and unsaved.totals.is_whole
    forwards_what_it_listens_on(work, tmp_path)
    until_sync(
        lambda: "up: it transports heartbeats" in work.run("show", "app"), what="heartbeats by the line"
    )
    work.run("ssh-config", "install", "--yes")
    config = tmp_path / ".ssh" / "config"
    by_name = ["ssh", "-F", str(config), "-o", "BatchMode=yes", "app.wsdash", "cat ~/file"]
    assert subprocess.run(by_name, capture_output=True, text=True, check=True).stdout == "kept\n"
    copied = tmp_path / "copied"
    subprocess.run(["scp", "-q", "-F", str(config), "app.wsdash:devfile.yaml", str(copied)], check=True)
    assert copied.read_text() == DEVFILE
    work.run("ssh-config", "uninstall")
    assert config.read_text() == ""
    assert "the relay answers at 127.0.0.1" in work.run("doctor")
    relay = json.loads((work.paths.state / "access" / "relay.json").read_text())["process"]
    os.kill(relay["pid"], signal.SIGKILL)
    assert work.run("ssh", "app", "--", "echo", "again") == "again\n"
    secrets = (work.paths.state / "access" / "relay.log").read_text() + work.run("logs", "app", "--raw")
    assert "eyJ" not in secrets  # no token of GitLab's
    work.run("delete", "app", "--yes", "--wait", "--keep-work")
    (script,) = (work.paths.state / "kept").glob("app-*/restore.sh")
    (tmp_path / "back").mkdir()
    subprocess.run(["sh", str(script)], cwd=tmp_path / "back", check=True)
    assert (tmp_path / "back/notes.txt").read_text() == "new\n"
    assert list((work.paths.state / "access" / "grants").iterdir()) == []


@pytest.mark.skipif(SSHD is None, reason="sshd is not installed")
def test_without_id_tokens_a_job_is_let_in_by_a_secret_that_counts_once(work: Work) -> None:
    work.project.variables_forbidden = False  # or its pipelines would be refused, in words
    config = work.paths.config_file.read_text()
    work.paths.config_file.write_text(
        config.replace("[contexts.work]\n", "[contexts.work]\nid_tokens = false\n")
    )
    work.create()
    assert work.run("ssh", "app", "--", "sh", "-c", "echo [$WSDASH_ONE_TIME_SECRET]") == "[]\n"
    (first,) = [pipeline.variables for pipeline in work.server.state.pipelines.values()]
    secret = first["WSDASH_ONE_TIME_SECRET"]
    access = work.paths.state / "access"
    assert secret not in work.run("logs", "app", "--raw") + (access / "relay.log").read_text()
    assert secret not in "".join(file.read_text() for file in (access / "grants").iterdir())
    work.run("restart", "app", "--wait")
    work.wait_for(phase="running", attempt=2)
    assert work.run("ssh", "app", "--", "echo", "again") == "again\n"
    second = [pipeline.variables for pipeline in work.server.state.pipelines.values()]
    assert len({variables["WSDASH_ONE_TIME_SECRET"] for variables in second}) == 2


@pytest.mark.skipif(SSHD is None, reason="sshd is not installed")
def test_a_job_is_stopped_by_its_line_while_gitlab_does_not_take_the_cancel(work: Work) -> None:
    work.create()
    assert work.run("ssh", "app", "--", "echo", "in") == "in\n"
    work.server.faults.add(Fault.MAINTENANCE, method="POST", path="/cancel$")
    work.run("stop", "app", "--wait")
    assert [p.status for p in work.server.state.pipelines.values()] == ["success"]
    assert "cancelled" in work.run("show", "app")


@pytest.mark.long
@pytest.mark.skipif(SSHD is None, reason="sshd is not installed")
def test_a_workspace_moves_out_of_gitlab_into_it_again_and_onto_this_machine(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WSDASH_ISOLATION", "plain")
    work.create()
    work.run("ssh", "app", "--", "sh", "-c", "echo unsaved >draft.txt; ln -s /nowhere away; echo mine >~/dot")
    archive = str(tmp_path / "app.tar.gz")
    work.run("export", "app", archive)
    show = ("sh", "-c", "cat draft.txt ~/dot; readlink away; git status --porcelain")
    wanted = "unsaved\nmine\n/nowhere\n?? away\n?? draft.txt\n"

    work.run("import", archive, "--name", "moved", "--context", "work", "--start")
    work.wait_for("moved", phase="running", attempt=1)
    assert work.run("ssh", "moved", "--", *show) == wanted
    # Only a job that has ended by itself has saved them.
    work.run("ssh", "moved", "--", "sh", "-c", "echo changed >draft.txt")
    incoming = work.paths.state / "incoming"
    assert len(list(incoming.iterdir())) == 1
    work.run("stop", "moved", "--wait")
    work.run("start", "moved", "--wait")
    work.wait_for("moved", phase="running", attempt=2)
    assert work.run("ssh", "moved", "--", *show) == wanted.replace("unsaved", "changed")
    assert list(incoming.iterdir()) == []

    work.run("import", archive, "--name", "here", "--context", "local", "--start")
    work.wait_for("here", phase="running")
    assert work.run("ssh", "here", "--", *show) == wanted
    work.run("delete", "app", "moved", "here", "--yes", "--wait")


@pytest.mark.long
@pytest.mark.skipif(SSHD is None, reason="sshd is not installed")
def test_imported_files_are_sent_again_to_the_job_after_one_that_died(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    work.create()
    work.run("ssh", "app", "--", "sh", "-c", "echo unsaved >draft.txt")
    archive = str(tmp_path / "app.tar.gz")
    work.run("export", "app", archive, "--stop")
    work.run("import", archive, "--name", "moved", "--context", "work", "--start")
    work.wait_for("moved", phase="running", attempt=1)
    work.runner.kill()
    shutil.rmtree(work.runner.folder / "builds")
    work.wait_for("moved", phase="pending", attempt=2)
    work.runner.start()
    work.wait_for("moved", phase="running", attempt=2)
    assert work.run("ssh", "moved", "--", "cat", "draft.txt") == "unsaved\n"


@pytest.mark.long
@pytest.mark.skipif(SSHD is None, reason="sshd is not installed")
def test_a_job_that_cannot_be_reached_ends_and_the_imported_files_wait_for_one_that_can(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    work.create()
    work.run("ssh", "app", "--", "sh", "-c", "echo unsaved >draft.txt")
    archive = str(tmp_path / "app.tar.gz")
    work.run("export", "app", archive, "--stop")
    work.run("import", archive, "--name", "moved", "--context", "work")
    work.run("daemon", "--stop")
    config = work.paths.config_file.read_text()
    work.paths.config_file.write_text(config.replace("[access]\nhost", "[access]\n# host"))
    work.run("start", "moved")
    printed = "The imported files did not arrive: your machine cannot reach this job."
    first = "logs", "moved", "--attempt", "1"
    until_sync(lambda: work.row("moved")["attempt"] is not None, PATIENCE_S, "the first attempt")
    until_sync(lambda: printed in work.run(*first), PATIENCE_S, "the end of the first attempt")
    work.run("daemon", "--stop")
    work.paths.config_file.write_text(config)
    work.run("restart", "moved", "--wait")
    work.wait_for("moved", phase="running")
    assert work.run("ssh", "moved", "--", "cat", "draft.txt") == "unsaved\n"


@pytest.mark.skipif(SSHD is None, reason="there is no sshd (openssh-server)")
def test_a_line_that_stands_is_entered_while_gitlab_is_silent(work: Work) -> None:
    work.create()
    work.run("ssh", "app", "--", "true")
    work.server.faults.add(Fault.SERVER_ERROR, path="^/api/v4/")
    work.wait_for(phase="unknown")
    assert work.run("ssh", "app", "--", "echo", "inside") == "inside\n"


def helpers_of(folder: Path) -> dict[str, int]:
    """The processes that live as long as the job, by what they are; fewer while one is away."""
    (run,) = (folder / "runner").glob("**/.wsdash/*/run")
    script = next(
        process for process in psutil.process_iter() if _words(process).endswith(f"{run}/job/gitlab.sh start")
    )
    found: dict[str, int] = {}
    for name, words in (("heartbeats", "gitlab.sh report"), ("tunnel", "tunnel.sh connect")):
        found.update((name, child.pid) for child in script.children() if _words(child).endswith(words))
    for name, file in (("client", "client"), ("server", "pid")):
        pid = int((run / "access" / file).read_text() or 0)
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            found[name] = pid
    return found


def _words(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@pytest.mark.skipif(SSHD is None, reason="there is no sshd (openssh-server)")
def test_each_helper_of_a_job_comes_back_after_a_kill_and_the_workspace_is_entered(
    work: Work, tmp_path: Path
) -> None:
    work.create()
    assert work.run("ssh", "app", "--", "echo", "in") == "in\n"

    def all_there() -> dict[str, int] | None:
        found = helpers_of(tmp_path)
        return found if len(found) == 4 else None

    before = until_sync(all_there, what="all helpers")
    for killed in (
        ["heartbeats"],
        ["tunnel"],
        ["client"],
        ["server"],
        ["tunnel", "client", "server", "heartbeats"],
    ):
        for name in killed:
            os.kill(before[name], signal.SIGKILL)
        assert work.run("ssh", "app", "--", "echo", *killed) == " ".join(killed) + "\n"

        def back(killed: list[str] = killed, before: dict[str, int] = before) -> dict[str, int] | None:
            found = all_there()
            return found if found and all(found[name] != before[name] for name in killed) else None

        before = until_sync(back, what=f"{killed} again")
    beat = work.row()["last_beat_at"]
    until_sync(lambda: work.row()["last_beat_at"] != beat, what="another heartbeat")
    assert work.row()["attempt"] == 1, "no job was replaced"
