"""One wsdash with all that it needs: its home, a repository, a daemon that is started again, dashboards, a GitLab."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.terminal import Terminal
from tests.gitlab_runner import Runner
from tests.gitlab_server import GitLabServer
from tests.gitlab_server.state import Project
from tests.repositories import git
from tests.torture.processes import ESCAPED, processes_of, world_number

ROOT = Path(__file__).parents[2]
WSDASH = (sys.executable, "-m", "wsdash")
KINDS = ("bubblewrap", "plain", "gitlab")
COMMAND_S = 180.0
"""After so long a command of the user's is taken for one that hangs. `wsdash ssh` waits for a job that starts, and for
the one that takes its place: longer than `start_s`."""
POLICY = """\
[policy]
beat_s = 1
suspect_s = 6
dead_s = 20
start_s = 60
grace_s = 20
lost_grace_s = 2
checkpoint_s = 2
shortest_run_s = 1
ladder_s = [0.2, 0.5, 1]
start_limit = 1000000
quiet_s = 60
"""
DEVFILE = """\
schemaVersion: 2.2.0
attributes: {{wsdash/secrets: [TORTURE_SECRET]}}
components: [{{name: main, container: {{image: alpine, env: [{{name: TORTURE_NAME, value: {name}}}]}}}}]
commands:
- id: guard
  exec:
    component: main
    commandLine: |
      touch {lock}
      (exec 9<{lock}; flock -n 9 || echo "$$ $(date +%s)" >>{doubles}; exec sleep 100000) >/dev/null 2>&1 &
- id: escape
  exec:
    component: main
    commandLine: env -i setsid sleep {escaped}.{name} >/dev/null 2>&1 &
events: {{postStart: [{events}]}}
"""
LOSSES = ("removed", "emptied", "put back")
DATABASE_FILES = ("state.db", "state.db-journal", "state.db-wal", "state.db-shm")


@dataclass(frozen=True)
class Answer:
    """The end of a user's command; `code` is minus the signal that killed it."""

    code: int
    out: str
    err: str
    seconds: float


class World:
    """Everything below `folder`. `kind` is what jobs run in; `slots` are the names that workspaces may have."""

    def __init__(self, folder: Path, kind: str, slots: int, *, escapes: bool) -> None:
        self.folder = folder
        self.kind = kind
        self.names = tuple(f"slot{number}" for number in range(slots))
        self.home = folder / "home"
        self.runtime = folder / "run"
        self.server: GitLabServer | None = None
        self.project: Project | None = None
        self.runner: Runner | None = None
        self.dashboards: list[Terminal] = []
        self._escapes = escapes
        self._daemon: subprocess.Popen[bytes] | None = None
        self._stack = ExitStack()
        self._keeping = threading.Event()
        self._lock = threading.Lock()
        self.env = {
            **os.environ,
            "WSDASH_HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "WSDASH_ISOLATION": "plain" if kind == "gitlab" else kind,
            "TORTURE": str(folder),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PYTHONPATH": str(ROOT),
        }

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def is_gitlab(self) -> bool:
        return self.kind == "gitlab"

    def __enter__(self) -> World:
        for folder in (self.home / "config", self.runtime, self.folder / "evidence"):
            folder.mkdir(mode=0o700, parents=True)
        config = self.home / "config/config.toml"
        if self.is_gitlab:
            self._connect()
            text = config.read_text().replace("[contexts.work]\n", "[contexts.work]\npoll_s = 0.5\n")
            config.write_text(text + '\n[access]\nhost = "127.0.0.1"\nbind = "127.0.0.1"\n' + POLICY)
        else:
            config.write_text(POLICY)
            for name in self.names:
                self._repository(name)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Kill everything that belongs to the world."""
        self._keeping.clear()
        for dashboard in self.dashboards:
            dashboard.__exit__()
        self.dashboards.clear()
        if self.runner is not None:
            self.runner.kill()
        end = time.monotonic() + 60
        while (left := processes_of(self.folder)) and time.monotonic() < end:
            for process in left:
                process.signal(signal.SIGKILL)
            time.sleep(0.05)
        self._stack.close()
        if self._daemon is not None:
            self._daemon.wait(30)

    # What the user does.

    def command(self, verb: str, *words: str, secret: str = "") -> subprocess.Popen[str]:
        """Start a command of the user's."""
        return subprocess.Popen(
            [*WSDASH, verb, *words],
            cwd=self.folder,
            env={**self.env, **({"TORTURE_SECRET": secret} if secret else {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def run(self, verb: str, *words: str, timeout: float = COMMAND_S, secret: str = "") -> Answer:
        began = time.monotonic()
        process = self.command(verb, *words, secret=secret)
        return finish(process, began, timeout)

    def source(self, name: str) -> tuple[str, ...]:
        """The arguments of `create` for the repository of a name."""
        if self.server is not None:
            return (f"{self.server.url}/group/{name}.git", "--context", "work")
        return (str(self.folder / "repositories" / name),)

    def rows(self) -> list[dict[str, Any]]:
        """The output of `list` for all workspaces that are not deleted. Raises RuntimeError if there is none."""
        answer = self.run("list", "--json")
        try:
            found: list[dict[str, Any]] = json.loads(answer.out)
        except ValueError:
            raise RuntimeError(f"list: exit code {answer.code}, {answer.err[-500:]}") from None
        return found

    def lines_file(self, row: Mapping[str, Any]) -> Path | None:
        """The path of a workspace's numbered lines on this machine; None for a GitLab."""
        if self.is_gitlab or not row.get("folder"):
            return None
        return Path(str(row["folder"])) / "projects" / str(row["project"]) / "lines.txt"

    def doubles(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """The lines of jobs that found the lock of another job of their workspace."""
        files = [file.parent / "doubles" for file in map(self.lines_file, rows) if file is not None]
        files += [self.folder / f"{name}.doubles" for name in self.names]
        return [f"{file.parent.name}: {file.read_text().strip()}" for file in files if file.exists()]

    # What stands on the machine.

    def keep_daemon(self, pause_s: float) -> None:
        """Start the daemon again whenever it has ended, as systemd would."""
        self._keeping.set()

        def keep() -> None:
            while self._keeping.is_set():
                with self._lock, (self.folder / "daemon.log").open("ab") as log:
                    self._daemon = subprocess.Popen(
                        [*WSDASH, "daemon"], cwd="/", env=self.env, stdin=subprocess.DEVNULL,
                        stdout=log, stderr=log, start_new_session=True,
                    )  # fmt: skip
                self._daemon.wait()
                time.sleep(pause_s)

        threading.Thread(target=keep, daemon=True).start()

    def open_dashboard(self) -> None:
        argv = list(WSDASH)
        self.dashboards.append(Terminal(argv, self.env, columns=100, lines=30))

    def press(self, dice: random.Random) -> None:
        """Keys into one of the dashboards; one that has ended is opened anew."""
        keys = (
            b"j",
            b"k",
            b"g",
            b"G",
            b"\r",
            b"\x1b",
            b"l",
            b"\x1b",
            b"?",
            b"\x1b",
            b"/slot\r",
            b"\x1b",
            b"\x11",
        )
        for dashboard in list(self.dashboards):
            if dashboard.has_ended():
                self.dashboards.remove(dashboard)
                dashboard.__exit__()
                self.open_dashboard()
            elif dice.random() < 0.5:
                try:
                    dashboard.press(dice.choice(keys))
                except OSError:
                    continue

    def revive(self) -> None:
        """Continue what was stopped, and start what stands on every such machine again."""
        for process in processes_of(self.folder):
            process.signal(signal.SIGCONT)
        if self.runner is not None and not any(p.role == "runner" for p in processes_of(self.folder)):
            self.revive_runner()

    def power_cut_of_runner(self) -> None:
        """The runner's host stops with all that runs there, and starts again."""
        assert self.runner is not None
        jobs = [process for process in processes_of(self.folder) if process.job]
        self.runner.kill()
        for process in jobs:
            process.signal(signal.SIGKILL)
        self.runner.start()

    def revive_runner(self) -> None:
        assert self.runner is not None
        self.runner.kill(leave_jobs=True)
        self.runner.start()

    def lose_store(self, how: str) -> None:
        """Under whatever runs: the database and its backups are `removed`, `emptied`, or a backup is `put back`."""
        database = self.state / "state.db"
        if how == "put back":
            backup = min((self.state / "backups").glob("*.db"))
            shutil.copy(backup, self.state / "copy.db")
            for name in DATABASE_FILES[1:]:
                (self.state / name).unlink(missing_ok=True)
            (self.state / "copy.db").replace(database)
            return
        shutil.rmtree(self.state / "backups", ignore_errors=True)
        if how == "emptied":
            os.truncate(database, 0)
            return
        for name in DATABASE_FILES:
            (self.state / name).unlink(missing_ok=True)

    def devfile(self, name: str) -> str:
        lock = f'"$PROJECTS_ROOT/{name}/.git/torture"'
        doubles = f'"$PROJECTS_ROOT/{name}/doubles"'
        if self.is_gitlab:
            lock, doubles = f"{self.folder}/{name}.lock", f"{self.folder}/{name}.doubles"
        events = "guard, escape" if self._escapes else "guard"
        number = f"{ESCAPED}{world_number(self.folder)}"
        return DEVFILE.format(name=name, lock=lock, doubles=doubles, events=events, escaped=number)

    def _repository(self, name: str) -> None:
        folder = self.folder / "repositories" / name
        folder.mkdir(parents=True)
        (folder / "devfile.yaml").write_text(self.devfile(name))
        own = ("-c", "user.name=torture", "-c", "user.email=torture@example.com")
        git(folder, "init", "--quiet", "--initial-branch=main")
        git(folder, "add", ".")
        git(folder, *own, "commit", "--quiet", "--message=start")

    def _connect(self) -> None:
        server = self._stack.enter_context(GitLabServer(self.folder / "gitlab"))
        self.server = server
        user = server.add_user("ada")
        self.project = server.add_project("group/workspaces", owners=[user])
        for name in self.names:
            files = {"devfile.yaml": self.devfile(name)}
            server.add_project(f"group/{name}", files, owners=[user], allowlist={self.project.id})
        runner = server.add_runner()
        token = server.add_token(user)
        where = ["--url", server.url, "--project", self.project.path, "--placement", "own"]
        added = subprocess.run(
            [*WSDASH, "context", "add", "work", "--token-stdin", "--job-timeout", "1h", *where],
            env=self.env,
            input=token + "\n",
            text=True,
            check=False,
            timeout=COMMAND_S,
            capture_output=True,
        )
        if added.returncode != 0:
            raise RuntimeError(f"context add: {added.stderr}")
        self.runner = Runner(
            server.url, runner.token, self.folder / "runner", env={"TORTURE": str(self.folder)}
        ).start()


def finish(process: subprocess.Popen[str], began: float, timeout: float) -> Answer:
    """Wait for a command of the user's. One that does not end in time is killed, and says so."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return Answer(-signal.SIGKILL, out, f"{err}\nhung for {timeout:g} s", time.monotonic() - began)
    return Answer(process.returncode, out, err, time.monotonic() - began)
