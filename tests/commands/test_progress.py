"""The lines that a waiting verb prints, and the end of the wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backend import builders
from tests.backend.builders import NOW
from tests.conftest import Command
from tests.repositories import DEVFILE, make_repository
from wsdash.backend.store.reader import WorkspaceRow
from wsdash.commands.progress import _Progress
from wsdash.model import Event, Phase, Status


def row(phase: Phase, reason: str, kind: str = "", text: str = "") -> WorkspaceRow:
    event = Event(1, NOW, "w1", None, "reconciler", kind, text) if kind else None
    return WorkspaceRow(builders.workspace(), Status(phase, reason), None, event)


def test_a_phase_is_printed_once_though_its_reason_counts_seconds_and_each_step_of_a_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = _Progress()
    for second in range(3):
        progress.show(row(Phase.PENDING, f"waiting for {second} s"))
    for step in ("fetch", "fetch", "post_start"):
        progress.show(row(Phase.STARTING, step))
    assert capsys.readouterr().err.splitlines() == [
        "demo: pending (waiting for 0 s)",
        "demo: starting (fetch)",
        "demo: starting (post_start)",
    ]


def test_a_problem_is_printed_when_it_comes_and_when_it_comes_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = _Progress()
    problem = row(Phase.PENDING, "waiting", "provider-error", "GitLab\x1b[2J does not answer")
    other = row(Phase.PENDING, "waiting", "launch", "attempt 1 is launched")
    for one in (problem, problem, other, problem):
        progress.show(one)
    lines = [line for line in capsys.readouterr().err.splitlines() if "GitLab" in line]
    assert len(lines) == 2
    assert "\x1b" not in "".join(lines)


@pytest.mark.usefixtures("plain_jobs")
def test_a_wait_that_takes_too_long_exits_with_5(wsdash: Command, tmp_path: Path) -> None:
    slow = make_repository(tmp_path / "slow", devfile=DEVFILE.replace("printf", "sleep 60; printf"))
    done = wsdash("create", str(slow), "--wait", "--timeout", "0.5")
    assert done.returncode == 5
    assert "slow is " in done.stderr
