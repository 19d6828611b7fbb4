"""Two real processes for tests that kill them: a job with a writer in it, and the machine that keeps its checkpoints.

    python -m tests.backend.job.lossy_job writer PROJECT TRUTH [SECONDS]
    python -m tests.backend.job.lossy_job keeper KEPT RUN NUMBER [LIMIT]

The writer appends numbered lines to a file of the project, syncs each, and only then notes it in TRUTH; SECONDS lie
between two. The keeper
follows the job and gives it the kept checkpoint, as the provider does; LIMIT is what a file may take on its disk.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from wsdash.backend.providers.gitlab.tunnel.checkpoints import Checkpoints
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel

LINES = "lines.txt"


def write(project: Path, truth: Path, pause_s: float = 0.003) -> None:
    number = count(project)
    with (project / LINES).open("a") as file, truth.open("a") as noted:
        while True:
            number += 1
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
            noted.write(f"{number} {time.time():.3f}\n")
            noted.flush()
            if number % 40 == 0:
                subprocess.run(["git", "add", LINES], cwd=project, check=False, capture_output=True)
                subprocess.run(
                    ["git", "commit", "-qm", "lines"], cwd=project, check=False, capture_output=True
                )
            time.sleep(pause_s)


def count(project: Path) -> int:
    """The number of lines. Raises AssertionError for a file that does not consist of these lines in their order."""
    file = project / LINES
    lines = file.read_text().splitlines() if file.exists() else []
    assert lines == [str(number) for number in range(1, len(lines) + 1)], lines[-3:]
    return len(lines)


class _LocalTunnel(JobTunnel):
    """The tunnel to a job on this machine."""

    def __init__(self, run: Path, env: dict[str, str]) -> None:
        self._run = run
        self._env = [f"{name}={value}" for name, value in env.items()]

    async def command_if_connected(
        self, workspace_id: str, name: str, argv: tuple[str, ...]
    ) -> tuple[str, ...] | None:
        if (self._run / "dead").exists():
            return None
        return ("env", *self._env, "sh", str(self._run / "job/checkpoint.sh"), *argv[1:])


async def keep(kept: Path, run: Path, number: int) -> None:
    env = dict(line.split("=", 1) for line in (run / "env").read_text().splitlines())
    checkpoints = Checkpoints(kept, _LocalTunnel(run, env))
    while True:
        if (run / "restored").exists():
            checkpoints.follow("w", "a", number)
        else:
            checkpoints.send("w", "a")
        await asyncio.sleep(0.02)


def main(argv: list[str]) -> None:
    if argv[0] == "writer":
        write(Path(argv[1]), Path(argv[2]), *map(float, argv[3:]))
    if len(argv) > 4:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a full disk is an error of the write
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(argv[4]), int(argv[4])))
    asyncio.run(keep(Path(argv[1]), Path(argv[2]), int(argv[3])))


if __name__ == "__main__":
    main(sys.argv[1:])
