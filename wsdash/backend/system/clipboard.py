"""The clipboard of the user's terminal: OSC 52 (xterm's ctlseqs), also through tmux and GNU screen."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

SCREEN_CHUNK = 768
"""The longest string that GNU screen passes on, in bytes: MAXSTR in its ansi.c."""
ASK_S = 2.0
_BY_HAND = "copy it by hand"


@dataclass(frozen=True, slots=True)
class TmuxOptions:
    """The options of tmux(1) on which the clipboard depends.

    `passthrough` is empty before tmux 3.3, which has no such option and always passes sequences on.
    """

    clipboard: str
    passthrough: str


def sequence(text: str, environ: Mapping[str, str], tmux: TmuxOptions | None = None) -> bytes:
    """Return the bytes that put the text into the clipboard; empty if this terminal takes none. Pure."""
    osc = b"\x1b]52;c;" + base64.b64encode(text.encode()) + b"\x07"
    if environ.get("TMUX"):
        if tmux is None or tmux.clipboard == "on":  # tmux(1): it takes the text itself, and passes it on
            return osc
        if tmux.passthrough in ("", "on", "all"):  # "off" by default
            return b"\x1bPtmux;" + osc.replace(b"\x1b", b"\x1b\x1b") + b"\x1b\\"
        return b""
    if environ.get("STY"):  # screen(1), "Virtual Terminal": ESC P ... ESC \ is passed on as it is
        size = SCREEN_CHUNK - 4
        chunks = (osc[start : start + size] for start in range(0, len(osc), size))
        return b"".join(b"\x1bP" + chunk + b"\x1b\\" for chunk in chunks)
    # console_codes(4) has no clipboard; Terminal.app has no OSC 52.
    if environ.get("TERM", "dumb") in ("dumb", "linux") or environ.get("TERM_PROGRAM") == "Apple_Terminal":
        return b""
    return osc


def explain(what: str, environ: Mapping[str, str], tmux: TmuxOptions | None = None) -> str:
    """Return a sentence on whether `what` is in the clipboard. Pure."""
    if not sequence("", environ, tmux):
        if environ.get("TMUX"):
            return f"tmux keeps {what} from your clipboard; `tmux set -s set-clipboard on` changes that."
        return f"This terminal does not let programs set its clipboard: {_BY_HAND}."
    if environ.get("TERM", "").startswith(("screen", "tmux")) and not (
        environ.get("TMUX") or environ.get("STY")
    ):
        return f"{what.capitalize()} is in your clipboard, if tmux there has `set-clipboard on` (OSC 52)."
    return f"{what.capitalize()} is in your clipboard, if your terminal supports that (OSC 52)."


def copy(text: str, what: str, environ: Mapping[str, str]) -> str:
    """Put the text into the clipboard of the terminal on standard output, and return a sentence that says so."""
    tmux = _tmux_options() if environ.get("TMUX") else None
    sys.stdout.flush()
    sys.stdout.buffer.write(sequence(text, environ, tmux))
    sys.stdout.buffer.flush()
    return explain(what, environ, tmux)


def _tmux_options() -> TmuxOptions | None:
    """Ask tmux; None if it does not answer within `ASK_S`."""
    clipboard = _tmux("show-options", "-sv", "set-clipboard")
    if clipboard is None:
        return None
    return TmuxOptions(clipboard, _tmux("show-options", "-Apv", "allow-passthrough") or "")


def _tmux(*arguments: str) -> str | None:
    try:
        asked = subprocess.run(
            ("tmux", *arguments),
            capture_output=True,
            text=True,
            timeout=ASK_S,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip()
