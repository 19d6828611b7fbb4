"""Kills at every stage of a job's life: what was shown to be saved is there again, and whole."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.backend.job.lossy_job import count
from tests.repositories import git
from tests.waiting import until_sync
from wsdash.backend.job.render import checkpoint_scripts, render, scripts
from wsdash.backend.store.checkpoint_files import CheckpointId, CheckpointStore
from wsdash.workload import Source, Workload

KILLS = int(os.environ.get("WSDASH_KILLS", "8"))
SEED = int(os.environ.get("WSDASH_SEED", "20261127"))

RUN = """\
mkdir -p "$PROJECTS_ROOT" "$HOME" "${PROJECTS_ROOT%/*}/state"
[ -d "$PROJECTS_ROOT/project" ] || {
  rm -rf "$PROJECTS_ROOT/part"
  git clone -q "$ORIGIN" "$PROJECTS_ROOT/part" && mv "$PROJECTS_ROOT/part" "$PROJECTS_ROOT/project"
}
last=0.0
read -r last 2>/dev/null <"${PROJECTS_ROOT%/*}/state/checkpoint"
if [ "$KEPT" != none ] && sh "$WSDASH_RUN/job/checkpoint.sh" newer "$KEPT" "$last"; then
  mkdir -p "$WSDASH_RUN/checkpoint"
  echo "$KEPT" >"$WSDASH_RUN/checkpoint/wanted"
  until [ -e "$WSDASH_RUN/checkpoint/incoming" ]; do sleep 0.02; done
  cd "$WSDASH_RUN"
  sh "$WSDASH_RUN/job/checkpoint.sh" restore "$PWD/checkpoint/incoming" "$KEPT" >said 2>&1 || exit 1
fi
: >"$WSDASH_RUN/restored"
"""


@dataclass
class World:
    """One workspace, attempt after attempt. `shown` is the newest recovery point that any of them told of."""

    folder: Path
    dice: random.Random
    number: int = 0
    shown: int = 0
    disk: Path | None = None
    story: list[str] = field(default_factory=list)
    is_checked: bool = True
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def kept(self) -> Path:
        return self.folder / "kept"

    @property
    def run(self) -> Path:
        return self.folder / f"run-{self.number}"

    @property
    def project(self) -> Path:
        assert self.disk is not None
        return self.disk / "projects/project"

    @property
    def newest(self) -> str:
        return str(newest.id) if (newest := CheckpointStore(self.kept).newest("w")) else "none"

    @property
    def truth(self) -> Path:
        return self.folder / "truth"

    def start(self, *, limit_mib: int = 64) -> None:
        """The next attempt, on the disk of the one before where that is still there."""
        self.number += 1
        self.is_checked = False
        if self.disk is None:
            self.disk = self.folder / f"disk-{self.number}"
        (self.run / "job").mkdir(parents=True)
        origin = self.folder / "origin"
        workload = render(Workload(source=Source(str(origin)))).encode()
        for name, data in (scripts() | checkpoint_scripts() | {"workload.sh": workload}).items():
            (self.run / "job" / name).write_bytes(data)
        env = {
            "PROJECTS_ROOT": str(self.disk / "projects"),
            "HOME": str(self.disk / "home"),
            "WSDASH_RUN": str(self.run),
            "WSDASH_ATTEMPT": f"abc.{self.number}.1",
            "WSDASH_JOB_PID": str(os.getpid()),
            "WSDASH_CHECKPOINT_S": "0.05",
            "WSDASH_CHECKPOINT_MIB": str(limit_mib),
            "ORIGIN": str(origin),
            "KEPT": self.newest,
        }
        (self.run / "env").write_text("".join(f"{name}={value}\n" for name, value in env.items()))
        self._spawn(["sh", "-c", RUN], {**os.environ, **env})

    def keeper(self, *limit: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "tests.backend.job.lossy_job", "keeper"]
        return self._spawn([*argv, str(self.kept), str(self.run), str(self.number), *limit], dict(os.environ))

    def until_restored(self) -> None:
        said = self.run / "said"
        until_sync(
            lambda: (self.run / "restored").exists() or (said.exists() and said.read_text()),
            60,
            f"attempt {self.number} to be restored",
        )
        assert (self.run / "restored").exists(), said.read_text()

    def write(self) -> None:
        """From here on the writer is at work."""
        argv = [
            sys.executable,
            "-m",
            "tests.backend.job.lossy_job",
            "writer",
            str(self.project),
            str(self.truth),
        ]
        # Killed with the job, as all that has its environment.
        self._spawn(
            argv, {**os.environ, "WSDASH_RUN": str(self.run), "HOME": str(self.project.parents[1] / "home")}
        )

    def kill_job(self, *, with_disk: bool) -> None:
        """Everything that runs in it, at once."""
        (self.run / "dead").touch()  # nobody enters it any more
        mark = f"WSDASH_RUN={self.run}\0".encode()
        quiet = 0
        while quiet < 3:  # what was being forked meanwhile
            found = [e for e in Path("/proc").iterdir() if e.name.isdigit() and mark in _environ(e)]
            for entry in found:
                with suppress(ProcessLookupError):
                    os.kill(int(entry.name), signal.SIGKILL)
            quiet = 0 if found else quiet + 1
            time.sleep(0.01)
        if (self.run / "restored").exists() and not self.is_checked:
            self.check()  # against what was shown before: from here on it tells of what it has found
        saved = self.run / "saved"
        if saved.exists() and saved.read_text().strip():
            self.shown = max(self.shown, int(saved.read_text()))
        if with_disk:
            assert self.disk is not None
            shutil.rmtree(self.disk)
            self.disk = None

    def check(self) -> None:
        """The contents of the workspace, compared with those that were shown as saved."""
        there = count(self.project)
        lines = [line.split() for line in self.truth.read_text().splitlines()] if self.truth.exists() else []
        due = [int(number) for number, at in lines if float(at) < self.shown]
        story = "\n".join(self.story[-24:])
        assert there >= max(due, default=0), f"{there} lines; {max(due)} were saved at {self.shown}\n{story}"
        git(self.project, "fsck", "--connectivity-only")
        self.is_checked = True
        if self.truth.exists():
            self.truth.write_text("".join(f"{n} {at}\n" for n, at in lines if int(n) <= there))

    def _spawn(self, argv: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        if self.disk is not None:
            self.kill_job(with_disk=False)


def _environ(entry: Path) -> bytes:
    try:
        return (entry / "environ").read_bytes() + b"\0"
    except OSError:
        return b""


@pytest.fixture
def world(tmp_path: Path) -> World:
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "main")
    for number in range(50):
        (origin / f"file-{number}").write_text(f"{number}\n" * 50)
    git(origin, "add", ".")
    git(origin, "commit", "-q", "-m", "first")
    return World(tmp_path, random.Random(SEED))


def test_nothing_that_was_shown_to_be_saved_is_lost_by_kills_at_any_stage(world: World) -> None:
    dice = world.dice
    try:
        for _ in range(KILLS):
            stage = dice.choice(["start", "restore", "work", "work", "save", "machine", "full", "refused"])
            world.start(limit_mib=64)
            world.story.append(f"attempt {world.number}: {stage}, on {world.disk}, kept {world.newest}")
            limits = {"full": ("2000",), "refused": ("1",)}.get(stage, ())
            keeper = world.keeper(*limits)
            if stage in ("start", "restore"):
                time.sleep(dice.uniform(0, 0.15 if stage == "start" else 0.6))
            else:
                if limits:  # what is to be put back comes before the disk is full
                    keeper.kill()
                    keeper = world.keeper()
                world.until_restored()
                world.check()
                world.write()
                until_sync(lambda: (world.run / "saved").exists(), 60, "a first checkpoint")
                if limits:
                    keeper.kill()
                    keeper = world.keeper(*limits)
                time.sleep(dice.uniform(0, 1.2))
                if stage == "machine":
                    keeper.kill()
                    time.sleep(dice.uniform(0, 0.3))
                    keeper = world.keeper()
                    time.sleep(dice.uniform(0, 0.5))
                if stage == "save":
                    env = dict(line.split("=", 1) for line in (world.run / "env").read_text().splitlines())
                    script = str(world.run / "job/checkpoint.sh")
                    subprocess.Popen(
                        ["sh", script, "save", "5"], env={**os.environ, **env}, stdout=subprocess.DEVNULL
                    )
                    time.sleep(dice.uniform(0, 0.3))
            with_disk = dice.random() < 0.7
            world.kill_job(with_disk=with_disk)
            keeper.kill()
            world.story.append(f"  killed, {with_disk=}, saved at {world.shown}, kept {world.newest}")
        world.start()
        world.keeper()
        world.until_restored()
        world.check()
        assert world.shown > 0
        newest = CheckpointStore(world.kept).newest("w")
        assert newest is not None and newest.id > CheckpointId(1, 0)
    finally:
        world.close()
