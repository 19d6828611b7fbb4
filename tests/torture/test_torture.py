"""A short torture, so that `make test` notices at once what `make torture` would find after some kills."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conftest import end_processes_of

ROOT = Path(__file__).parents[2]
SHORT = (
    "--kills",
    "6",
    "--rounds",
    "1",
    "--slots",
    "2",
    "--pause",
    "0.5",
    "--short-stops",
    "--seed",
    "20261130",
)


def test_what_is_killed_at_random_becomes_as_it_was_acknowledged(isolation: str) -> None:
    with tempfile.TemporaryDirectory(prefix="wt-") as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tests.torture", *SHORT, "--worlds", isolation, "--folder", folder],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=900,
            )
        finally:
            end_processes_of(Path(folder))
        assert done.returncode == 0, done.stdout + done.stderr
