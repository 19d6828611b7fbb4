"""A runner whose clock is wrong, and is set while a job runs, changes nothing for its user."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from tests.backend.access.conftest import SSHD
from tests.backend.job.test_clock import Clock
from tests.e2e.gitlab_work import PATIENCE_S, Work, working
from tests.gitlab_runner import Runner
from tests.waiting import until_sync
from wsdash.paths import Paths

IDLE_S = 15


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    found = Clock(tmp_path)
    found.set(-600)
    return found


@pytest.fixture
def work(tmp_path: Path, paths: Paths, clock: Clock, leaves_nothing_running: None) -> Iterator[Work]:
    environment = {"PATH": f"{clock.folder}:{os.environ['PATH']}"}
    with working(tmp_path, paths, partial(Runner, env=environment)) as work:
        settings = paths.config_file.read_text()
        policy = f"[policy]\nidle_minutes = {IDLE_S / 60}\ncheckpoint_s = 2\n"
        paths.config_file.write_text(settings.replace("[policy]\n", policy))
        yield work


def instant(work: Work, name: str) -> float:
    return datetime.fromisoformat(str(work.row()[name])).timestamp()


@pytest.mark.long
@pytest.mark.skipif(SSHD is None, reason="there is no sshd")
def test_a_command_that_runs_is_activity_and_what_is_saved_is_as_old_as_it_is(
    work: Work, clock: Clock
) -> None:
    work.create()
    until_sync(lambda: work.row()["saved_at"], PATIENCE_S, "a checkpoint")
    command = [sys.executable, "-m", "wsdash", "ssh", "app", "--", "sleep", str(2 * IDLE_S)]
    began = time.time()
    with subprocess.Popen(command) as inside:
        until_sync(
            lambda: instant(work, "last_beat_at") > began + IDLE_S, PATIENCE_S, "heartbeats while it runs"
        )
        clock.set(7200)
        assert inside.wait(4 * IDLE_S) == 0, "it was not stopped meanwhile"
    assert work.row()["phase"] == "running" and work.row()["attempt"] == 1
    # An interval of heartbeats, of checkpoints and of polls, on a busy machine.
    assert abs(time.time() - instant(work, "last_beat_at")) < 20
    assert abs(time.time() - instant(work, "saved_at")) < 30
    work.wait_for(phase="stopped")
    ((_, beat),) = [(p.id, p.name) for p in work.server.state.pipelines.values()]
    assert beat is not None and int(beat.split(" ")[2]) < time.time() - 500, "its clock was wrong"
