"""The clock of a job: it keeps its pace when the machine's clock is set."""

from __future__ import annotations

import os
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.backend.job.conftest import SHELLS, Job, Running
from tests.backend.job.scripts import HERE
from tests.waiting import until_sync
from wsdash.workload import Workload

DAY_S = 86400


class Clock:
    """A `date` for the PATH of a job that tells another time than the machine's."""

    def __init__(self, folder: Path) -> None:
        self._offset = folder / "clock-offset"
        self.folder = folder / "clock"
        self.folder.mkdir()
        self.set(0)
        program = self.folder / "date"
        program.write_text(
            f'#!/bin/sh\n[ "$*" = +%s ] || exec /bin/date "$@"\n'
            f"read -r offset <{self._offset}\necho $(($(/bin/date +%s) + offset))\n"
        )
        program.chmod(0o755)
        self.path = f"{self.folder}:{os.environ['PATH']}"

    def set(self, offset: int) -> None:
        self._offset.write_text(f"{offset}\n")


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


def ats(running: Running) -> list[float]:
    return [at for beat in running.messages("beat") if (at := beat.number("at")) is not None]


@pytest.mark.parametrize("step", [7200, -7200])
def test_a_clock_that_is_set_moves_neither_the_deadline_nor_the_times_of_a_job(
    job: Job, clock: Clock, step: int
) -> None:
    job.environment |= {"PATH": clock.path, "WSDASH_DEADLINE": "3600"}
    running = job.run_until_ready(Workload())
    clock.set(step)
    count = len(ats(running))

    until_sync(lambda: len(ats(running)) >= count + 3, what="heartbeats after the clock was set")
    found = ats(running)
    assert all(0 <= after - before < 600 for before, after in pairwise(found))
    assert running.process.poll() is None and not running.messages("end")


@pytest.mark.parametrize("offset", [-DAY_S, 0, DAY_S])
def test_all_processes_of_a_job_have_its_clock(clock: Clock, offset: int) -> None:
    clock.set(offset)
    # Not with busybox, whose shell finds its own `date` first.
    begin = ["sh", "-c", f'. {HERE}/common.sh; set_now; echo 0 >{clock.folder}/../clock-offset; "$@"', "sh"]
    later = ["sh", "-c", f". {HERE}/common.sh; set_now; echo $now; /bin/date +%s"]
    env = {"PATH": clock.path}
    now, real = subprocess.run(
        [*begin, *later], env=env, capture_output=True, text=True, check=True
    ).stdout.split()
    assert offset - 5 <= int(now) - int(real) <= offset + 5


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
class TestActivity:
    """What changes a file is activity now, whatever the file's time says."""

    def ask(self, shell: tuple[str, ...], *calls: str) -> list[str]:
        script = f". {HERE}/activity.sh; active=0; now=1000; {'; '.join(calls)}"
        return subprocess.run(
            [*shell, "-c", script], capture_output=True, text=True, check=True
        ).stdout.split()

    def test_the_first_time_is_no_change(self, shell: tuple[str, ...]) -> None:
        assert self.ask(shell, "note_change editor 5000 0", "echo $active") == ["0"]
        assert self.ask(shell, "note_change 77 5000 1000", "echo $active") == ["1000"]

    def test_only_another_time_is_activity_be_it_earlier_or_later(self, shell: tuple[str, ...]) -> None:
        begin = ("note_change editor 5000 0", "note_change 77 1 500", "now=2000")
        assert self.ask(shell, *begin, "note_change editor 5000 0", "echo $active") == ["500"]
        for value in ("4000", "6000", "''"):
            assert self.ask(shell, *begin, f"note_change editor {value} 0", "echo $active") == ["2000"]
        more = ("note_change editor 5 0", "now=3000", "note_change editor 5 0", "note_change 77 1 0")
        assert self.ask(shell, *begin, *more, "echo $active") == ["2000"]
        assert self.ask(shell, *begin, *more, "note_change 77 2 0", "echo $active") == ["3000"]
