"""The terminal goes while a shell has it: what runs in its foreground ends, and so does the dashboard."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.screens.terminal import Terminal, environment
from tests.waiting import until_sync
from wsdash.backend.system.terminal import LOOK_S

BASH = "bash --norc --noprofile -i"
DASHBOARD = {
    "leader": (),
    **{shell: tuple(shell.split()) for shell in ("sh -c", "sh -ic", "bash -ic", "bash -lic")},
}
"""Ways to start the dashboard: alone in its terminal, and from shells with and without job control."""
SLEEP, STUBBORN = "exec sleep 1001", 'trap "" HUP; exec sleep 1001'

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


class Started:
    """The dashboard, with a shell of its first workspace that runs a program in the foreground."""

    def __init__(self, folder: Path, under: Sequence[str], *, lent: str = BASH) -> None:
        self.folder = folder
        if under:
            under = (*under, '"$@"; exit 7', "sh")
        env = environment(folder, LENT=lent, PS1="ready> ", HOME=str(folder), PID=str(folder / "pid"))
        self.terminal = Terminal("tests.screens.in_terminal", str(folder), "3", env=env, under=under)
        self.terminal.read_until("reconciler: this dashboard")
        self.terminal.settle()
        self.terminal.type(b"s")
        self.terminal.read_until("a shell in workspace-0000")
        self.pids: list[int] = []

    def run(self, line: str) -> int:
        """Type the program, and return its process id."""
        (self.folder / "pid").unlink(missing_ok=True)
        self.terminal.type(f"sh -c 'echo $$ >$PID; {line}'\n".encode())
        return self.pid()

    def pid(self) -> int:
        self.pids.append(int(until_sync(lambda: self._noted())))
        return self.pids[-1]

    def _noted(self) -> str:
        self.terminal.settle()
        file = self.folder / "pid"
        return file.read_text().strip() if file.exists() else ""

    def dashboard_ended(self) -> bool:
        return (self.folder / "handed over").exists()

    def close(self) -> None:
        self.terminal.close()
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def started(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Started]:
    one = Started(tmp_path, getattr(request, "param", ()))
    yield one
    one.close()


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("program", [SLEEP, STUBBORN], ids=["sleep", "ignores HUP"])
@pytest.mark.parametrize("started", DASHBOARD.values(), ids=DASHBOARD, indirect=True)
def test_the_foreground_and_the_dashboard_end_with_the_terminal(started: Started, program: str) -> None:
    pid = started.run(program)
    started.terminal.hang_up()
    started.terminal.wait()
    until_sync(lambda: is_gone(pid), what="the end of the program")
    until_sync(started.dashboard_ended, what="the end of the dashboard")
    assert not (started.folder / "state" / "crashes").exists()


def test_a_whole_pipeline_in_the_foreground_ends(started: Started) -> None:
    pid = started.run(f"({STUBBORN}) | {STUBBORN}")
    (other,) = psutil.Process(pid).children()
    started.pids.append(other.pid)
    started.terminal.hang_up()
    assert started.terminal.wait() == 128 + signal.SIGHUP
    assert is_gone(pid)
    assert is_gone(other.pid)


def test_a_program_without_a_shell_that_ignores_it_ends(tmp_path: Path) -> None:
    script = tmp_path / "stubborn"
    script.write_text('#!/bin/sh\ntrap "" HUP\necho $$ >"$PID"\nexec sleep 1001\n')
    script.chmod(0o700)
    started = Started(tmp_path, (), lent=str(script))
    try:
        pid = started.pid()
        started.terminal.hang_up()
        assert started.terminal.wait() == 128 + signal.SIGHUP
        assert is_gone(pid)
    finally:
        started.close()


def test_what_runs_in_the_background_in_spite_of_it_lives_on(started: Started) -> None:
    started.terminal.type(b"nohup sleep 1001 >/dev/null 2>&1 & echo $! >$PID\n")
    background = started.pid()
    until_sync(lambda: time.time() - psutil.Process(background).create_time() > 3 * LOOK_S)
    foreground = started.run(STUBBORN)
    started.terminal.hang_up()
    started.terminal.wait()
    assert is_gone(foreground)
    assert not is_gone(background)


def test_a_signal_to_the_dashboard_ends_the_foreground_too(started: Started) -> None:
    pid = started.run(STUBBORN)
    started.terminal.signal(signal.SIGTERM)
    assert started.terminal.wait() == 128 + signal.SIGTERM
    assert is_gone(pid)
