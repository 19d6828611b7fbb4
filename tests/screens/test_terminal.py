"""On a real (pseudo-)terminal: how many bytes are written, and that the terminal is always given back."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.screens.terminal import DEADLINE_S, Terminal, environment

GIVEN_BACK = (b"\x1b[?1049l", b"\x1b[?25h")
"""The main screen and the cursor are back (xterm)."""
COLOUR = re.compile(rb"\x1b\[[0-9;]*(?<![0-9])(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?![0-9])[0-9;]*m")

Start = Callable[..., Terminal]


def is_given_back(written: bytes) -> bool:
    return all(sequence in written for sequence in GIVEN_BACK)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the dashboard over a stub and waits until it is at rest."""
    started: list[Terminal] = []

    def begin(count: int = 30, **env: str) -> Terminal:
        terminal = Terminal(
            "tests.screens.in_terminal", str(tmp_path), str(count), env=environment(tmp_path, **env)
        )
        started.append(terminal)
        terminal.read_until("workspace-0000")
        terminal.read_until("reconciler: this dashboard")
        terminal.settle()
        return terminal

    yield begin
    for terminal in started:
        terminal.close()


def test_bytes_written(start: Start) -> None:
    terminal = start(1000)
    boot = terminal.take()
    assert len(boot) < 80_000
    terminal.settle()
    assert terminal.take() == b"", "at rest nothing is written"
    terminal.signal(signal.SIGUSR1)
    terminal.settle()
    changed = terminal.take()
    assert "▲ unhealthy".encode() in changed
    assert len(changed) <= 600
    for _ in range(2):
        terminal.type(b"j")
        terminal.settle()
        assert 0 < len(terminal.take()) <= 1500
    terminal.signal(signal.SIGUSR1)
    terminal.settle()
    assert 0 < len(terminal.take()) <= 600


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_gives_the_terminal_back_and_hands_over(
    start: Start, tmp_path: Path, number: int, code: int
) -> None:
    terminal = start()
    terminal.take()
    terminal.signal(number)
    assert terminal.wait() == code
    assert is_given_back(terminal.take())
    assert (tmp_path / "handed over").read_text() == "True"


def test_a_lost_connection_hands_over(start: Start, tmp_path: Path) -> None:
    terminal = start()
    terminal.hang_up()
    terminal.wait()
    assert (tmp_path / "handed over").read_text() == "True"
    assert not (tmp_path / "state" / "crashes").exists()


def test_a_crash_gives_the_terminal_back_and_prints_no_variables(start: Start, tmp_path: Path) -> None:
    terminal = start()
    terminal.take()
    terminal.signal(signal.SIGUSR2)
    assert terminal.wait() == 1
    written = terminal.take()
    assert is_given_back(written)
    assert b"wsdash has failed (RuntimeError). The report is in" in re.sub(rb"\s+", b" ", written)
    assert b"glpat-" not in written
    assert (tmp_path / "handed over").read_text() == "True"


def test_the_shell_has_the_terminal_and_the_dashboard_comes_back_intact(start: Start) -> None:
    terminal = start()
    terminal.take()
    terminal.type(b"s")
    terminal.read_until("say something:")
    given = terminal.take()
    assert is_given_back(given)
    terminal.signal(signal.SIGUSR1)  # what changes meanwhile is not painted over the shell
    terminal.type(b"hello\n")
    terminal.read_until("you said hello")
    terminal.read_until("reconciler: this dashboard")
    terminal.settle()
    assert "▲ unhealthy".encode() in terminal.take()
    terminal.type(b"j")
    terminal.settle()
    assert 0 < len(terminal.take()) <= 1500


def test_the_key_of_desktop_editors_runs_wsdash_code_and_its_output_can_be_read(
    start: Start, tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sh").symlink_to("/bin/sh")
    terminal = start(PATH=str(programs), DISPLAY=":99", SSH_CONNECTION="")
    terminal.type(b"E")
    terminal.read_until("a desktop editor is not on the PATH (looked for: code, codium")
    terminal.read_until("press enter to return to wsdash.")
    terminal.take()
    terminal.type(b"\n")
    terminal.read_until("reconciler: this dashboard")


def test_ctrl_c_in_the_shell_is_the_shells_own(start: Start) -> None:
    terminal = start()
    terminal.take()
    terminal.type(b"s")
    terminal.read_until("say something:")
    terminal.type(b"\x03")
    terminal.read_until("reconciler: this dashboard")
    terminal.settle()
    terminal.take()
    terminal.type(b"q")
    assert terminal.wait() == 0


def test_a_signal_during_the_shell_ends_both_and_leaves_the_terminal_in_order(
    start: Start, tmp_path: Path
) -> None:
    terminal = start()
    terminal.take()
    terminal.type(b"s")
    terminal.read_until("say something:")
    terminal.signal(signal.SIGTERM)
    assert terminal.wait() == 143
    assert terminal.take().rstrip().endswith(GIVEN_BACK[1] + b"\x1b[?1004l")
    assert (tmp_path / "handed over").read_text() == "True"


def test_ctrl_z_stops_it_and_it_comes_back(start: Start) -> None:
    terminal = start()
    terminal.take()
    terminal.type(b"\x1a")
    process = psutil.Process(terminal.pid)
    deadline = time.monotonic() + DEADLINE_S
    while process.status() != psutil.STATUS_STOPPED and time.monotonic() < deadline:
        terminal.settle()
    assert is_given_back(terminal.take())
    terminal.signal(signal.SIGCONT)
    terminal.read_until("workspace-0000")
    terminal.settle()
    terminal.take()
    terminal.type(b"q")
    assert terminal.wait() == 0


def test_a_resized_terminal_is_used_whole(start: Start) -> None:
    terminal = start()
    terminal.take()
    terminal.resize(80, 24)
    terminal.signal(signal.SIGWINCH)
    terminal.read_until("workspace-0000")
    terminal.settle()
    terminal.take()
    terminal.type(b"q")
    assert terminal.wait() == 0


def test_no_color_writes_no_colour(start: Start) -> None:
    terminal = start(NO_COLOR="1")
    written = terminal.take()
    assert b"workspace-0000" in written
    assert COLOUR.findall(written) == []


def test_colour_is_written_otherwise(start: Start) -> None:
    assert COLOUR.search(start().take())
    assert os.environ.get("NO_COLOR") is None
