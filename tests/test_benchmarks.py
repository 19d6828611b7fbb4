"""Every benchmark still runs. Only small sizes are measured here, and no figure is looked at."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.__main__ import names
from tests.backend.access.conftest import SSHD
from tests.conftest import end_processes_of

ROOT = Path(__file__).parents[1]
NEEDS_SSHD = ("access", "checkpoints")


@pytest.fixture
def run() -> Iterator[Callable[..., None]]:
    """Runs Python with temporary files in a folder of its own, whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:

        def running(*arguments: str) -> None:
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**os.environ, "TMPDIR": folder},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert done.returncode == 0, done.stdout + done.stderr

        yield running
        end_processes_of(Path(folder))


@pytest.mark.parametrize("name", names())
def test_a_benchmark_runs(name: str, run: Callable[..., None]) -> None:
    if name in NEEDS_SSHD and SSHD is None:
        pytest.skip("there is no sshd (openssh-server)")
    run("-m", "benchmarks", "--smoke", name)


def test_the_search_for_texts_that_break_the_devfile_reader_runs(run: Callable[..., None]) -> None:
    run("-m", "benchmarks.fuzz_devfiles", "--minutes", "0", "--examples", "20")
