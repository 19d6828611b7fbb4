"""A user with a context for a GitLab project and a runner, for the tests that go all the way."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.gitlab_runner import Runner
from tests.gitlab_server import GitLabServer
from tests.gitlab_server.state import Project
from tests.ordinary_users import OrdinaryUser
from tests.waiting import until_sync
from wsdash.commands.json_output import row_json
from wsdash.commands.open_reader import reading
from wsdash.paths import Paths

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
    user: OrdinaryUser | None = None
    """The user of wsdash, or else the one who runs the tests."""
    asks_command: bool = False
    """Whether rows come from the command, which may be another version's; it takes longer."""

    def run(self, *arguments: str, code: int = 0) -> str:
        """The standard output of the command."""
        return self._done(*arguments, code=code).stdout

    def run_stderr(self, *arguments: str, code: int = 0) -> str:
        """The standard error of the command."""
        return self._done(*arguments, code=code).stderr

    def _done(self, *arguments: str, code: int) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            wsdash_of(self.user, arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def row(self, name: str = "app") -> dict[str, object]:
        """As `list --all --json` tells it; read here, for tests wait for it. Empty where there is none."""
        if self.user is not None or self.asks_command:
            rows: list[dict[str, object]] = json.loads(self.run("list", "--all", "--json"))
            return next((row for row in rows if row["name"] == name), {})
        with reading(self.paths) as reader:
            found = reader.workspaces(time.time(), deleted=True)
        return next((row_json(row, self.paths) for row in found if row.workspace.name == name), {})

    def wait_for(self, name: str = "app", **wanted: object) -> dict[str, object]:
        def holds() -> dict[str, object] | None:
            row = self.row(name)
            return row if all(row.get(key) == value for key, value in wanted.items()) else None

        return until_sync(holds, PATIENCE_S, f"{name} with {wanted}")

    def create(self) -> None:
        self.run("create", self.source, "--context", "work", "--name", "app", "--yes", "--wait")


def wsdash_of(user: OrdinaryUser | None, arguments: Sequence[str]) -> list[str]:
    """The words that run wsdash as somebody."""
    argv = [sys.executable, "-m", "wsdash", *arguments]
    return argv if user is None else user.command(argv)


MakeRunner = Callable[[str, str, Path], Runner]


@contextmanager
def working(
    folder: Path,
    paths: Paths,
    make_runner: MakeRunner,
    project_path: str = "group/app",
    placement: str = "source",
    tags: Sequence[str] = (),
    devfile: str = DEVFILE,
    whose: OrdinaryUser | None = None,
    options: Sequence[str] = (),
) -> Iterator[Work]:
    """The code is in group/app; the jobs run in the project at `project_path`. `options`: more of `context add`."""
    with GitLabServer(folder / "gitlab") as server:
        user = server.add_user("ada")
        project = server.add_project("group/app", {"devfile.yaml": devfile}, owners=[user])
        if project_path != project.path:
            server.add_project(project_path, {"README.md": "workspaces\n"}, owners=[user])
        token = server.add_token(user)
        runner = make_runner(server.url, server.add_runner(tags=tags).token, folder / "runner")
        where = [
            "--url",
            server.url,
            "--project",
            project_path,
            "--placement",
            placement,
            "--job-timeout",
            "1h",
            *(word for tag in tags for word in ("--tag", tag)),
            *options,
        ]
        added = subprocess.run(
            wsdash_of(whose, ["context", "add", "work", "--token-stdin", *where]),
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
            file.write('\n[access]\nhost = "127.0.0.1"\nbind = "127.0.0.1"\n')
            file.write("\n[policy]" + CONFIG.partition("[policy]")[2])
        with runner:
            yield Work(server, project, runner, paths, f"{server.url}/group/app.git", whose)
            subprocess.run(wsdash_of(whose, ["daemon", "--stop"]), check=False, capture_output=True)
