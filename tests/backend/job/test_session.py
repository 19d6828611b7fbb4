"""Sessions in a real tmux: what they see of the job, how they end, and that they come back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import until_sync
from wsdash.backend.job.render import render, render_secrets
from wsdash.backend.job.shell import program
from wsdash.backend.sessions.states import Session, State, sessions
from wsdash.workload import EnvVar, Secret, Workload

WORKLOAD = Workload(env=(EnvVar("TEAM", 'it\'s "ours"\nand yours'),), secrets=(Secret("API_KEY"),))

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Workspace:
    """The environment of `job.sh enter` in a job of GitLab's, and the program as it travels into it."""

    def __init__(self, folder: Path, shell: tuple[str, ...]) -> None:
        self.folder = folder
        self.id = f"t{os.getpid()}{abs(hash(folder)) % 10**6}"
        scripts, programs = folder / "scripts", folder / "bin"
        for made in (scripts, programs, folder / "home dir", folder / "projects/app"):
            made.mkdir(parents=True)
        (scripts / "workload.sh").write_text(render(WORKLOAD))
        (scripts / "secrets.sh").write_text(render_secrets({"API_KEY": "of the workspace"}))
        (programs / "sh").symlink_to(str(shutil.which(shell[0])))
        self.program = folder / "session.sh"
        self.program.write_text(program("session.sh"))
        self.shell = shell
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(folder / "home dir"),
            "PROJECTS_ROOT": str(folder / "projects"),
            "PROJECT_SOURCE": str(folder / "projects/app"),
            "WSDASH_SCRIPTS": str(scripts),
            "WSDASH_WORKSPACE": self.id,
            "TMUX_TMPDIR": "/tmp",
            "TEAM": 'it\'s "ours"\nand yours',
            "API_KEY": "of the workspace",
            "CI": "true",
            "CI_PROJECT_PATH": "group/app",
            "CI_JOB_TOKEN": "of the job",
            "CI_REGISTRY_PASSWORD": "of the job",
            "CI_REPOSITORY_URL": "https://gitlab-ci-token:of-the-job@gitlab.example/group/app.git",
            "DEPLOY_KEY": "of the project",
        }

    def run(self, *words: str, fails: bool = False) -> str:
        # As the command that brings it: the program lies where the watcher and `attach` find it.
        place = self.folder / "home dir/.local/state/wsdash/sessions/.watch"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.program, place / "session.sh.new")
        (place / "session.sh.new").replace(place / "session.sh")
        argv = [*self.shell, str(place / "session.sh"), *words]
        done = subprocess.run(
            argv, env=self.environment, capture_output=True, text=True, timeout=60, check=False, cwd="/"
        )
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else done.stdout

    def list(self) -> dict[str, Session]:
        return {session.name: session for session in sessions(self.run("list"))}

    def state(self, name: str) -> State:
        return self.list()[name].state

    def until(self, name: str, state: State) -> None:
        until_sync(lambda: self.state(name) is state, timeout=20, what=f"{name} to be {state}")

    def end_job(self) -> None:
        argv = ["tmux", "-L", f"wsdash-{self.id}-sessions", "kill-server"]
        subprocess.run(argv, env=self.environment, stderr=subprocess.DEVNULL, check=False)


@pytest.fixture(params=["dash", "busybox"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workspace]:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    made = Workspace(tmp_path, ("busybox", "sh") if request.param == "busybox" else ("dash",))
    yield made
    made.end_job()


def test_a_session_has_the_environment_of_the_workspace_and_nothing_of_the_job(workspace: Workspace) -> None:
    workspace.run("start", "env", f"line=env -0 >'{workspace.folder}/seen'; pwd >'{workspace.folder}/where'")
    workspace.until("env", State.DONE)
    seen = dict(line.split("=", 1) for line in (workspace.folder / "seen").read_text().split("\0") if line)
    assert seen["TEAM"] == workspace.environment["TEAM"]
    assert seen["API_KEY"] == "of the workspace"
    assert seen["CI_PROJECT_PATH"] == "group/app"
    assert not [name for name, value in seen.items() if "of the job" in value or "of-the-job" in value]
    assert "DEPLOY_KEY" not in seen
    assert (workspace.folder / "where").read_text() == f"{workspace.environment['PROJECT_SOURCE']}\n"


def test_the_server_of_the_sessions_holds_no_secret_either(workspace: Workspace) -> None:
    workspace.run("start", "cat", "line=exec cat")
    argv = ["tmux", "-L", f"wsdash-{workspace.id}-sessions", "display-message", "-p", "#{pid}"]
    server = subprocess.run(
        argv, env=workspace.environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    environment = Path(f"/proc/{server}/environ").read_bytes()
    assert b"of the" not in environment and b"of-the" not in environment


def test_a_profile_may_let_a_variable_of_the_job_through(workspace: Workspace) -> None:
    line = f"line=printf %s \"$DEPLOY_KEY\" >'{workspace.folder}/seen'"
    workspace.run("start", "deploy", line, "env=DEPLOY_KEY", "env=NOT_THERE")
    workspace.until("deploy", State.DONE)
    assert (workspace.folder / "seen").read_text() == "of the project"


def test_it_waits_is_answered_and_ends(workspace: Workspace) -> None:
    workspace.run("start", "ask", 'line=printf "Proceed? "; read -r answer; echo "you said $answer"; exit 3')
    workspace.until("ask", State.WAITING)
    assert workspace.run("screen", "ask", "0") == "Proceed?\n"
    workspace.run("send", "ask", "yes; it's me", "enter")
    workspace.until("ask", State.FAILED)
    assert workspace.list()["ask"].evidence == "exit code 3"
    assert "you said yes; it's me" in workspace.run("screen", "ask", "0")


def test_it_tells_its_state_itself(workspace: Workspace) -> None:
    workspace.run("start", "agent", "line=wsdash-state waiting; sleep 600")
    workspace.until("agent", State.WAITING)
    assert "said so itself" in workspace.list()["agent"].evidence


def test_a_session_whose_job_has_ended_is_lost_and_resumes(workspace: Workspace) -> None:
    seen = workspace.folder / "seen"
    workspace.run("start", "agent", f"line=echo first >'{seen}'; cat", f"resume=echo again >'{seen}'; cat")
    workspace.run("start", "build", "line=exit 0")
    workspace.until("build", State.DONE)
    workspace.until("agent", State.WAITING)
    workspace.end_job()
    assert workspace.state("agent") is State.LOST
    assert workspace.state("build") is State.DONE  # how it ended is known
    workspace.run("start", "agent")
    workspace.until("agent", State.WAITING)
    assert seen.read_text() == "again\n"


def test_stop_ends_the_program_with_its_children_and_start_starts_it_again(workspace: Workspace) -> None:
    pids = workspace.folder / "pids"
    workspace.run("start", "server", f"line=sleep 600 & echo $! >'{pids}'; trap '' TERM; sleep 600")
    until_sync(lambda: pids.exists() and pids.read_text() != "", timeout=60, what="its child")
    assert "runs already" in workspace.run("start", "server", fails=True)
    workspace.run("stop", "server")
    assert workspace.state("server") is State.STOPPED
    until_sync(lambda: not Path(f"/proc/{pids.read_text().strip()}").exists(), timeout=60, what="its end")
    workspace.run("start", "server")
    workspace.until("server", State.WORKING)
    workspace.run("remove", "server")
    assert workspace.list() == {}


def test_a_name_that_is_none_and_a_session_that_is_not_there_are_told(workspace: Workspace) -> None:
    assert "cannot be the name of a session" in workspace.run("start", "../x", "line=true", fails=True)
    assert "There is no session x" in workspace.run("start", "x", fails=True)
    assert "There is no session x" in workspace.run("screen", "x", "0", fails=True)
    assert workspace.list() == {}
