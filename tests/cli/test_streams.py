"""Streams that are closed or full, and an environment that names no folder: sentences, and no crash reports."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from wsdash.paths import Paths


def shell(line: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", line.replace("wsdash", shlex.join([sys.executable, "-m", "wsdash"]))],
        env={**os.environ, "PYTHONUNBUFFERED": "", **more},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("where", "reason"), [(">&-", "Bad file descriptor"), (">/dev/full", "No space left on device")]
)
@pytest.mark.parametrize("verb", ["list", "list --json", "doctor --json", "context list", "--help"])
def test_an_output_that_takes_nothing_is_told(paths: Paths, verb: str, where: str, reason: str) -> None:
    done = shell(f"wsdash {verb} {where}")
    assert done.returncode == 1
    assert f"wsdash: standard output cannot be written to: {reason}" in done.stderr
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr
    assert not paths.crash_reports.exists()


def test_it_is_told_without_a_buffer_too(paths: Paths) -> None:
    done = shell("wsdash list >/dev/full", PYTHONUNBUFFERED="1")
    assert (done.returncode, "cannot be written to: No space" in done.stderr) == (1, True)


def test_a_verb_that_acts_does_so_without_any_stream(paths: Paths) -> None:
    assert shell("wsdash list <&- >&- 2>&-").returncode == 1
    assert shell("wsdash list 2>/dev/full").returncode == 0
    assert shell("wsdash show nosuch 2>/dev/full").returncode == 3
    assert not paths.crash_reports.exists()


def test_what_was_closed_is_not_taken_by_a_file_of_ours(paths: Paths) -> None:
    """A state store that is opened as descriptor 1 would be printed into."""
    assert shell("wsdash list").returncode == 0
    for _ in range(2):
        shell("wsdash list --json >&-; wsdash doctor <&- >&-")
    done = shell("wsdash list --json")
    assert (done.returncode, done.stdout.strip()) == (0, "[]")


def test_a_relative_home_is_a_sentence(tmp_path: Path) -> None:
    done = shell("unset WSDASH_HOME; wsdash list", HOME="relative")
    assert done.returncode == 1
    assert done.stderr.startswith("wsdash: HOME is 'relative'")
