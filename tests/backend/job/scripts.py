"""The scripts of jobs: all of them in one folder, as they stand in a job."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parents[3] / "wsdash/backend/job/sh"
SCRIPTS = sorted(SOURCES.glob("*/*.sh"))


def install(folder: Path) -> Path:
    for script in SCRIPTS:
        shutil.copy(script, folder)
    return folder


HERE = install(Path(tempfile.mkdtemp(prefix="wsdash-scripts-")))
"""As long as the tests run."""
atexit.register(shutil.rmtree, HERE, ignore_errors=True)
