"""A checkpoint of a small change in a large repository, putting it back, and the gap in a shell at a hand-over."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pexpect

from benchmarks.figures import Figure
from tests.e2e.gitlab_work import working
from tests.gitlab_runner import Runner
from wsdash.backend.access.ssh.local_sshd import why_no_terminal
from wsdash.backend.job.render import checkpoint_scripts, render, scripts
from wsdash.paths import Paths
from wsdash.workload import Source, Workload

FILE_BYTES = 20_000
CHANGE_BYTES = 5_000


@dataclass(frozen=True)
class Sizes:
    files: int
    changed: int
    runs: int


FULL = Sizes(files=50_000, changed=20, runs=5)
SMOKE = Sizes(files=1_000, changed=5, runs=1)


def measure(sizes: Sizes) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="wb-") as name:
        figures = _of_a_large_repository(Path(name), sizes)
    if (reason := why_no_terminal()) is not None:  # the runner's jobs are this user's, and so are their sshd
        print(f"without the hand-over of a terminal: {reason}", file=sys.stderr)
        return figures
    with tempfile.TemporaryDirectory(prefix="wb-") as name:
        return [*figures, _hand_over(Path(name))]


def _of_a_large_repository(folder: Path, sizes: Sizes) -> list[Figure]:
    origin = folder / "origin.git"
    _make(origin, sizes.files)
    clones = []
    for number in range(2):
        began = time.monotonic()
        _clone(origin, folder / f"job-{number}")
        clones.append(time.monotonic() - began)
    job = _Job(folder / "job-0", 1, origin)
    job.take()  # the first one reads the index
    times, ratios = [], []
    dice = random.Random(1)
    for _ in range(sizes.runs):
        change = b""
        for number in dice.sample(range(sizes.files), sizes.changed):
            line = dice.randbytes(CHANGE_BYTES)
            change += line
            with (job.project / _path(number)).open("ab") as file:
                file.write(line)
        before = len(job.bundle)
        began = time.monotonic()
        job.take()
        times.append(time.monotonic() - began)
        # Each one holds all that is not pushed, so also the changes before.
        ratios.append((len(job.bundle) - before) / len(zlib.compress(change)))
    job.close()
    kept = folder / "kept.bundle"
    kept.write_bytes(job.bundle)
    restored = _Job(folder / "job-1", 2, origin)
    began = time.monotonic()
    restored.restore(kept)
    put_back = time.monotonic() - began
    restored.close()
    clone = statistics.median(clones)
    return [
        Figure(
            f"checkpoint of {sizes.changed} changed files of {sizes.files} of 20 kB",
            statistics.median(times),
            "s",
            2.0,
        ),
        Figure("  its bytes, by those of the change compressed", statistics.median(ratios), "times", 1.2),
        Figure("clone and restore", clone + put_back, "s", 1.5, clone, "a clone"),
    ]


def _hand_over(folder: Path) -> Figure:
    """From the last word of one job to the prompt in the next, with a runner that asks twice a second."""
    os.environ["WSDASH_HOME"] = str(folder / "home")
    paths = Paths.from_environment()
    paths.prepare()
    with working(folder, paths, Runner) as work:
        config = work.paths.config_file
        config.write_text(config.read_text().replace("poll_s = 0.3", "poll_s = 3"))
        work.create()
        shell = pexpect.spawn(sys.executable, ["-m", "wsdash", "ssh", "app"], timeout=90, encoding="utf-8")
        shell.sendline("echo here-$((40 + 2))")
        shell.expect("here-42")
        work.run("restart", "app")
        shell.expect("is lost")
        began = time.monotonic()
        shell.sendline("echo there-$((40 + 2))")
        shell.expect("there-42")
        gap = time.monotonic() - began
        shell.close(force=True)
    return Figure("gap in a shell at a hand-over", gap, "s", 10.0)


class _Job:
    """A job's folders around a clone, with a line on which every checkpoint is taken."""

    def __init__(self, folder: Path, attempt: int, origin: Path) -> None:
        self.project = folder / "projects/project"
        self.bundle = b""
        self._run = folder / "run"
        for name in ("home", "state", "run/job"):
            (folder / name).mkdir(parents=True)
        workload = render(Workload(source=Source(str(origin)))).encode()
        for name, data in (scripts() | checkpoint_scripts() | {"workload.sh": workload}).items():
            (self._run / "job" / name).write_bytes(data)
        (self._run / "restored").touch()
        self._env = {
            **os.environ,
            "PROJECTS_ROOT": str(folder / "projects"),
            "HOME": str(folder / "home"),
            "WSDASH_RUN": str(self._run),
            "WSDASH_ATTEMPT": f"abc.{attempt}.1",
            "WSDASH_JOB_PID": str(os.getpid()),
            "WSDASH_CHECKPOINT_S": "3600",
        }
        self._stream: subprocess.Popen[bytes] | None = None

    def take(self) -> None:
        """Have one made, and wait until it is here and was compared with its hash."""
        if self._stream is None:
            self._stream = self._start("stream")
            _pipe(self._stream.stdin).write(b"none none\n")
            _pipe(self._stream.stdin).flush()
        else:
            self._start("save", "60")
        words = _pipe(self._stream.stdout).readline().split()
        assert words[0] == b"new", words
        self.bundle = _pipe(self._stream.stdout).read(int(words[4]))
        assert hashlib.sha1(b"blob %d\0" % len(self.bundle) + self.bundle).hexdigest().encode() == words[5]
        _pipe(self._stream.stdin).write(b"kept\n")
        _pipe(self._stream.stdin).flush()

    def restore(self, file: Path) -> None:
        assert self._start("restore", str(file), "1.9").wait() == 0

    def close(self) -> None:
        if self._stream is not None:
            self._stream.kill()
            self._stream.communicate()

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        argv = ["sh", str(self._run / "job/checkpoint.sh"), *words]
        return subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self._env
        )


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _words(count: int) -> list[str]:
    """Names as unlike each other as those of real folders: Git finds what to compare with by their last letters."""
    dice = random.Random(2)
    return ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(count)]


FOLDERS = _words(FULL.files // 500)


def _path(number: int) -> str:
    return f"{FOLDERS[number // 500]}/file-{number}"


def _make(origin: Path, files: int) -> None:
    """A repository of files that do not compress, by Git's own fast import."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(origin)], check=True)
    importing = subprocess.Popen(
        ["git", "-C", str(origin), "-c", "core.compression=0", "fast-import", "--quiet"],
        stdin=subprocess.PIPE,
    )
    pipe = _pipe(importing.stdin)
    dice = random.Random(0)
    pipe.write(b"commit refs/heads/main\ncommitter a <a@example.com> 0 +0000\ndata 5\nfirst\n")
    for number in range(files):
        pipe.write(f"M 100644 inline {_path(number)}\ndata {FILE_BYTES}\n".encode())
        pipe.write(dice.randbytes(FILE_BYTES) + b"\n")
    pipe.close()
    assert importing.wait() == 0


def _clone(origin: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    project = folder / "projects/project"
    project.parent.mkdir(parents=True)
    subprocess.run(["git", "clone", "-q", "--no-local", f"file://{origin}", str(project)], check=True)
