"""Completion of names by shells."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import PYTHON, Command

pytestmark = pytest.mark.usefixtures("plain_jobs")


def test_shells_complete_names_of_workspaces(wsdash: Command, repository: Path, tmp_path: Path) -> None:
    assert wsdash("create", str(repository), "--name", "frontend").returncode == 0
    line = "wsdash ssh fro"
    answer = tmp_path / "answer"
    env = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    subprocess.run([Path(PYTHON[0]).with_name("wsdash")], env=env, check=False, timeout=60)
    assert answer.read_text().strip() == "frontend"
