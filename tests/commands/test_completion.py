"""Completion of names by shells."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import PYTHON, Command
from wsdash.paths import Paths

pytestmark = pytest.mark.usefixtures("plain_jobs")


def test_shells_complete_names_of_workspaces(wsdash: Command, repository: Path, tmp_path: Path) -> None:
    assert wsdash("create", str(repository), "--name", "frontend").returncode == 0
    assert completed("wsdash ssh fro", tmp_path) == ["frontend"]


def test_shells_complete_the_editors_of_code(paths: Paths, tmp_path: Path) -> None:
    assert completed("wsdash code frontend --editor cod", tmp_path) == ["code", "codium"]


def completed(line: str, folder: Path) -> list[str]:
    """The candidates for the last word of a command line."""
    answer = folder / "answer"
    env = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    subprocess.run([Path(PYTHON[0]).with_name("wsdash")], env=env, check=False, timeout=60)
    return [word.strip() for word in answer.read_text().splitlines()]
