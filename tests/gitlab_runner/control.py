"""Starts and ends the runner's process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]


class Runner:
    """A runner's process with its builds and caches below `folder`.

    `graceful` False makes it an old one, which cannot cancel gracefully. `env` is added to its jobs'.
    `within` is a command before its own, such as one by which it runs as another user.
    `keeps_folders` leaves the builds folder for the next job, as the shell executor does.
    """

    def __init__(
        self,
        url: str,
        token: str,
        folder: Path,
        *,
        graceful: bool = True,
        env: dict[str, str] | None = None,
        keeps_folders: bool = False,
        within: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self._argv = [*within, sys.executable, "-m", "tests.gitlab_runner", url, token, str(folder)]
        if not graceful:
            self._argv.append("--old")
        if keeps_folders:
            self._argv.append("--keep")
        self._env = env or {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Runner:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "runner.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._argv, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **self._env}
            )
        return self

    def stop(self) -> None:
        """Let it end what it runs, as `gitlab-runner stop` does: jobs are aborted."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
            self._process = None

    def kill(self, *, leave_jobs: bool = False) -> None:
        """No goodbye: the host has lost its power; or only the runner died, and its jobs live on."""
        if self._process is None:
            return
        runner = psutil.Process(self._process.pid)
        for process in (runner, *([] if leave_jobs else runner.children(recursive=True))):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self._process.wait(30)
        self._process = None

    def __enter__(self) -> Runner:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
