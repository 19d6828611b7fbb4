"""The clipboard by terminal: the bytes, the sentence, and a real tmux."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.screens.terminal import Terminal
from wsdash.backend.system.clipboard import SCREEN_CHUNK, TmuxOptions, explain, sequence

XTERM, TMUX = {"TERM": "xterm-256color"}, {"TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0"}
SCREEN = {"TERM": "screen", "STY": "1.pts-0.host"}
OSC = b"\x1b]52;c;" + base64.b64encode(b"ssh -N") + b"\x07"
PASSED = b"\x1bPtmux;\x1b" + OSC + b"\x1b\\"


@pytest.mark.parametrize(
    ("environ", "tmux", "expected"),
    [
        (XTERM, None, OSC),
        (TMUX, TmuxOptions("on", "off"), OSC),
        (TMUX, TmuxOptions("external", "on"), PASSED),
        (TMUX, TmuxOptions("off", "all"), PASSED),
        (TMUX, TmuxOptions("external", ""), PASSED),
        (TMUX, TmuxOptions("external", "off"), b""),
        (TMUX, None, OSC),
        (SCREEN, None, b"\x1bP" + OSC + b"\x1b\\"),
        ({"TERM": "linux"}, None, b""),
        ({"TERM": "dumb"}, None, b""),
        ({}, None, b""),
        ({**XTERM, "TERM_PROGRAM": "Apple_Terminal"}, None, b""),
    ],
)
def test_the_bytes_are_those_that_the_terminal_takes(
    environ: dict[str, str], tmux: TmuxOptions | None, expected: bytes
) -> None:
    assert sequence("ssh -N", environ, tmux) == expected


def test_screen_gets_a_long_text_in_pieces_that_it_passes_on_whole() -> None:
    text = "x" * 5000
    written = sequence(text, SCREEN)
    pieces = re.findall(rb"\x1bP(.*?)\x1b\\", written, re.DOTALL)
    assert b"".join(b"\x1bP" + piece + b"\x1b\\" for piece in pieces) == written
    assert max(len(piece) + 4 for piece in pieces) <= SCREEN_CHUNK
    assert b"".join(pieces) == sequence(text, XTERM)


@pytest.mark.parametrize(
    ("environ", "tmux", "said"),
    [
        (XTERM, None, "The command is in your clipboard, if your terminal supports that (OSC 52)."),
        (TMUX, TmuxOptions("external", "off"), "`tmux set -s set-clipboard on`"),
        ({"TERM": "linux"}, None, "copy it by hand"),
        ({"TERM": "tmux-256color"}, None, "if tmux there has `set-clipboard on`"),
    ],
)
def test_it_says_where_it_cannot(environ: dict[str, str], tmux: TmuxOptions | None, said: str) -> None:
    assert said in explain("the command", environ, tmux)


COPY = (
    "import os; from wsdash.backend.system.clipboard import copy;"
    " print(copy('ssh -N', 'the command', os.environ), flush=True); input()"
)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
@pytest.mark.parametrize(
    ("options", "arrives"),
    [
        ("set -s set-clipboard on", True),
        ("set -s set-clipboard external; set -g allow-passthrough on", True),
        ("set -s set-clipboard external; set -g allow-passthrough off", False),
    ],
)
def test_a_real_tmux_passes_it_on_or_the_user_learns_that_it_does_not(
    tmp_path: Path, options: str, arrives: bool
) -> None:
    (tmp_path / "tmux.conf").write_text(options.replace("; ", "\n") + "\n")
    tmux = ("tmux", "-S", str(tmp_path / "tmux"), "-f", str(tmp_path / "tmux.conf"))
    (tmp_path / "copies.py").write_text(COPY)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    terminal = Terminal("copies", env={"TERM": "xterm-256color", "PYTHONPATH": path}, under=(*tmux, "new"))
    try:
        terminal.wait_for(lambda shown: "your clipboard" in shown, "the sentence")
        terminal.settle()
        assert (base64.b64encode(b"ssh -N") in terminal.take()) is arrives
        assert ("tmux keeps" in terminal.shown) is not arrives
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)
        terminal.close()
