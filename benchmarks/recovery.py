"""From `kill -9` of a job, or of its supervisor, to its replacement running, for the first crash of an episode."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.seed import paths_in
from wsdash.backend.operations.create import CreateRequest
from wsdash.backend.service import Service
from wsdash.backend.store.reader import Reader
from wsdash.backend.system.processes import stat_of
from wsdash.model import Phase

DEVFILE = "schemaVersion: 2.2.0\ncomponents: [{name: dev, container: {image: debian:12}}]\n"


@dataclass(frozen=True)
class Sizes:
    kills: int


FULL = Sizes(kills=15)
SMOKE = Sizes(kills=1)


def measure(sizes: Sizes) -> list[Figure]:
    """Median and worst of some kills of the job's first process, and of as many of its supervisor."""
    figures = []
    for killed, process_of in (("a job", _first_child), ("a job's supervisor", int)):
        with tempfile.TemporaryDirectory(prefix="wsdash-bench-") as folder:
            waits = asyncio.run(_kill_and_wait(Path(folder), sizes.kills, process_of))
        name = f"kill -9 of {killed} to its replacement running"
        figures += [
            Figure(f"{name}, median", statistics.median(waits), "s", 0.5),
            Figure(f"{name}, worst", max(waits), "s", 0.5),
        ]
    return figures


async def _kill_and_wait(home: Path, kills: int, process_of: Callable[[str], int]) -> list[float]:
    """Seconds each. `process_of` gives the process to kill for the id of a job, which is its supervisor's."""
    source = _repository(home / "source")
    paths = paths_in(home)
    waits = []
    async with Service.open(paths) as service:
        reconciling = asyncio.create_task(service.reconcile("daemon"))
        preview = await service.creation.preview(CreateRequest(str(source)))
        workspace = await service.creation.create(preview)
        running = frozenset({Phase.RUNNING})
        await service.lifecycle.wait_for(workspace.id, running, 60)
        reader = Reader(paths)
        for _ in range(kills):
            before = reader.attempts(workspace.id)[-1]
            assert before.job_id is not None
            victim = process_of(before.job_id)
            killed_at = time.perf_counter()
            os.kill(victim, signal.SIGKILL)
            while True:
                newest = reader.attempts(workspace.id)[-1]
                job = newest.last_observation
                if newest.number > before.number and job is not None and job.ready_at:
                    break
                await asyncio.sleep(0.005)
            waits.append(time.perf_counter() - killed_at)
            await service.lifecycle.restart(workspace.id)  # a new episode, so that each kill is a first crash
            while reader.attempts(workspace.id)[-1].number == newest.number:
                await asyncio.sleep(0.02)
            await service.lifecycle.wait_for(workspace.id, running, 60)
        reader.close()
        await service.lifecycle.delete(workspace.id)
        await service.lifecycle.wait_for(workspace.id, frozenset({Phase.DELETED}), 60)
        reconciling.cancel()
        await asyncio.gather(reconciling, return_exceptions=True)
    return waits


def _first_child(job_id: str) -> int:
    """The job's own first process: what its supervisor started."""
    pid = int(job_id)
    while stat_of(pid) is not None:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
    raise ProcessLookupError(pid)


def _repository(folder: Path) -> Path:
    folder.mkdir()
    (folder / "devfile.yaml").write_text(DEVFILE)
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "start"]):
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)
    return folder
