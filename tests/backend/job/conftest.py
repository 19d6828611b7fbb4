"""Runs `job.sh` with each shell that the images of jobs are likely to have."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.waiting import until_sync
from wsdash.backend.job.protocol import Message, Splitter
from wsdash.backend.job.render import render, scripts
from wsdash.workload import Workload


def as_parameter(*shell: str, long: bool = False) -> ParameterSet:
    """A shell as a parameter of tests and fixtures, which are skipped where it is not installed."""
    missing = pytest.mark.skipif(shutil.which(shell[0]) is None, reason=f"{shell[0]} is not installed")
    return pytest.param(shell, marks=[missing, pytest.mark.long] if long else [missing])


SHELLS = [as_parameter("dash"), as_parameter("busybox", "sh", long=True)]
"""`make test` takes the first one, `make e2e` the others."""


@dataclass
class Job:
    """One workload with `job.sh` and a shell to run it with."""

    shell: tuple[str, ...]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def projects(self) -> Path:
        return self.folder / "projects"

    def start(self, entry: str, workload: Workload, *arguments: str) -> Running:
        self.projects.mkdir(exist_ok=True)
        for name, text in (scripts() | {"workload.sh": render(workload).encode()}).items():
            (self.folder / name).write_bytes(text)
        output = self.folder / f"output-{len(self._processes)}"
        settings = {"PROJECTS_ROOT": str(self.projects), "HOME": str(self.folder), "WSDASH_BEAT_S": "1"}
        argv = [*self.shell, str(self.folder / "job.sh"), entry, str(self.folder / "workload.sh"), *arguments]
        with output.open("wb") as file:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **settings, **self.environment},
                start_new_session=True,
            )
        self._processes.append(process)
        return Running(process, output)

    def fetch(self, workload: Workload) -> tuple[int, str]:
        """Exit code and log of `job.sh fetch`."""
        running = self.start("fetch", workload)
        return running.process.wait(30), running.log

    def run_until_ready(self, workload: Workload) -> Running:
        running = self.start("run", workload)
        until_sync(lambda: running.messages("ready"), what=f"readiness after {running.log}")
        return running

    def close(self) -> None:
        for process in self._processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait(60)


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    output: Path

    def parts(self) -> list[bytes | Message]:
        splitter = Splitter()
        return [*splitter.feed(self.output.read_bytes()), splitter.flush()]

    @property
    def log(self) -> str:
        return b"".join(part for part in self.parts() if isinstance(part, bytes)).decode()

    def messages(self, kind: str) -> list[Message]:
        return [part for part in self.parts() if isinstance(part, Message) and part.kind == kind]

    def exits(self) -> dict[str, int | None]:
        """Exit codes of the commands that have ended, by id."""
        ends = [step for step in self.messages("step") if step.text("state") == "end"]
        return {step.text("command") or "": step.integer("exit") for step in ends}

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


@pytest.fixture(params=SHELLS, ids=" ".join)
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Job]:
    shell: tuple[str, ...] = request.param
    found = Job(shell, tmp_path)
    yield found
    found.close()
