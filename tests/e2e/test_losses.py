"""Kills amid a whole installation: the job, its runner, the relay, the machine of the user; while it saves, while it
restores, during a hand-over. Nothing is lost that was shown to be saved, and no file is damaged.

`tests/backend/job/test_full_disks.py` has many more of them, with a full disk and refused uploads, without the relay.
"""

from __future__ import annotations

import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from tests.backend.access.conftest import SSHD
from tests.conftest import processes_of
from tests.e2e.gitlab_work import PATIENCE_S, Work, working
from tests.gitlab_runner import Runner
from tests.waiting import until_sync
from wsdash.paths import Paths

pytestmark = pytest.mark.skipif(SSHD is None, reason="there is no sshd (openssh-server)")

KILLS = int(os.environ.get("WSDASH_E2E_KILLS", "2"))
SEED = int(os.environ.get("WSDASH_SEED", "20261129"))
STAGES = ("job", "runner", "relay", "machine", "save", "restore", "hand-over")
ROOT = Path(__file__).parents[2]
DEVFILE = """\
schemaVersion: 2.2.0
components: [{{name: main, container: {{image: alpine}}}}]
commands:
- id: write
  exec:
    component: main
    commandLine: >-
      echo "start $(cat lines.txt 2>/dev/null | wc -l) $(date +%s)" >>{truth};
      cd {root} && GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b.c GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b.c
      {python} -m tests.backend.job.lossy_job writer "$PROJECT_SOURCE" {truth} 0.05 >/dev/null 2>&1 &
events: {{postStart: [write]}}
"""


@dataclass
class Losses:
    """One workspace with a writer in it, and what its user was shown."""

    work: Work
    truth: Path
    dice: random.Random
    story: list[str] = field(default_factory=list)
    seen: list[tuple[float, float]] = field(default_factory=list)
    """Recovery points that were shown, and when."""
    _checked: int = 0
    _lines: list[tuple[int, float]] = field(default_factory=list)

    @property
    def starts(self) -> int:
        return self.truth.read_text().count("start") if self.truth.exists() else 0

    def shown(self) -> float:
        """The recovery point, as seconds since the epoch."""
        saved_at = self.work.row()["saved_at"]
        return datetime.fromisoformat(str(saved_at)).timestamp() if saved_at else 0.0

    def until_saved(self) -> None:
        """A checkpoint of the attempt that runs."""
        before = self.shown()
        until_sync(lambda: self.shown() > before, PATIENCE_S, f"a checkpoint\n{self.tail}")

    @property
    def tail(self) -> str:
        return "\n".join([*self.story[-12:], self.work.run("events", "app")[-2000:]])

    def kill_all_of(self, folder: Path) -> None:
        """At once: none of them goes on while another is gone already, as none does whose machine stops."""
        for act in (psutil.Process.suspend, psutil.Process.kill):
            for process in processes_of(folder):
                with suppress(psutil.NoSuchProcess):
                    act(process)

    def kill(self, what: str) -> None:
        builds = self.work.runner.folder / "builds"
        self.seen.append((self.shown(), time.time()))
        self.story.append(f"  {time.time():.1f} killed: {what}")
        if what == "job":
            self.kill_all_of(builds)
        elif what == "runner":
            self.work.runner.kill()
            self.kill_all_of(builds)
            shutil.rmtree(builds, ignore_errors=True)
            self.work.runner.start()
        for program in {"relay": ["access.relay"], "machine": ["access.relay", "daemon"]}.get(what, []):
            for process in processes_of(self.work.paths.state):
                if any(program in word for word in _command_of(process)):
                    os.kill(process.pid, signal.SIGKILL)
        if what == "machine":
            time.sleep(self.dice.uniform(0, 2))
            self.work.run("daemon", "--detach")

    def command(self, *arguments: str) -> subprocess.Popen[bytes]:
        """One that may fail, amid what is killed."""
        argv = [sys.executable, "-m", "wsdash", *arguments]
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def lose(self, stage: str) -> None:
        """Kill something in this stage, and wait until the writer is at work again, in a new job or the same."""
        self.story.append(f"{time.time():.1f} {stage}; saved at {self.shown():.0f}, {self.starts} starts")
        if stage in ("job", "runner", "relay", "machine"):
            self.kill(stage)
        elif stage == "save":
            stopping = self.command("restart", "app")
            time.sleep(self.dice.uniform(0, 1.5))
            self.kill(self.dice.choice(["job", "runner", "relay", "machine"]))
            stopping.wait(120)
        elif stage == "restore":
            self.kill("runner")
            number = int(str(self.work.row()["attempt"]))
            self.work.wait_for(attempt=number + 1)
            time.sleep(self.dice.uniform(0, 4))
            self.kill(self.dice.choice(["job", "runner", "relay", "machine"]))
        elif stage == "hand-over":
            self.work.run("restart", "app", "--force")
            time.sleep(self.dice.uniform(0, 3))
            self.kill(self.dice.choice(["runner", "relay", "machine"]))
        self.until_back()

    def until_back(self) -> None:
        """Until its job writes and saves again; and what was shown to be saved before is there."""
        starts = self.starts
        try:
            self.work.wait_for(phase="running")
            self.work.wait_for(healthy=True)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{starts} starts before\n{self.tail}") from None
        self.until_saved()
        lines = len(self.truth.read_text().splitlines())
        until_sync(
            lambda: len(self.truth.read_text().splitlines()) > lines, PATIENCE_S, f"a line\n{self.tail}"
        )
        self.check()

    def check(self) -> None:
        """Each start of the writer found all that was due when it began."""
        for line in self.truth.read_text().splitlines()[self._checked :]:
            self._checked += 1
            first, second, *began = line.split()
            if first == "start":
                shown = max((int(shown) for shown, at in self.seen if at < int(began[0])), default=0)
                due = max((n for n, at in self._lines if at < shown), default=0)
                found = int(second)
                assert found >= due, f"{found} lines; {due} were saved at {shown}\n{self.tail}"
                self._lines = [(n, at) for n, at in self._lines if n <= found]
            else:
                self._lines.append((int(first), float(second)))
        project = next((self.work.runner.folder / "builds").rglob("projects/app"))
        # What is being committed meanwhile may seem to lack its objects; what really does lacks them later too.
        until_sync(lambda: is_sound(project), 20.0, f"a sound repository in {project}\n{self.tail}")
        text = (project / "lines.txt").read_text()
        whole = text[: text.rindex("\n") + 1].splitlines()
        assert whole == [str(number) for number in range(1, len(whole) + 1)], whole[-3:]


def is_sound(project: Path) -> bool:
    argv = ["git", "fsck", "--connectivity-only"]
    return subprocess.run(argv, cwd=project, check=False, capture_output=True).returncode == 0


def _command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture
def losses(tmp_path: Path, paths: Paths, leaves_nothing_running: None) -> Iterator[Losses]:
    truth = tmp_path / "truth"
    devfile = DEVFILE.format(truth=truth, root=ROOT, python=shlex.quote(sys.executable))
    with working(tmp_path, paths, Runner, devfile=devfile) as work:
        text = paths.config_file.read_text()
        paths.config_file.write_text(
            text.replace("[policy]\n", "[policy]\ncheckpoint_s = 1\nstart_limit = 100000\nstart_s = 8\n")
        )
        yield Losses(work, truth, random.Random(SEED))


@pytest.mark.long
def test_nothing_that_was_shown_to_be_saved_is_lost_whatever_is_killed(losses: Losses) -> None:
    losses.work.create()
    losses.until_saved()
    stages = [*STAGES] * (KILLS // len(STAGES)) + losses.dice.sample(STAGES, KILLS % len(STAGES))
    losses.dice.shuffle(stages)
    for stage in stages:
        losses.lose(stage)
        print("\n".join(losses.story[-3:]), flush=True)
