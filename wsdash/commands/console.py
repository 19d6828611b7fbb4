"""Output of the command line: JSON for scripts, and tables that fit the terminal for people."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Sequence

from wsdash.model import Phase
from wsdash.sanitize import one_line

TYPE_CHECKING = False  # as in typing, which the quick verbs do without
if TYPE_CHECKING:
    from typing import TextIO

DONE = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
PROVIDER = 4
TIMED_OUT = 5
"""The exit codes (docs/reference/README.md)."""

SIGNS = {
    Phase.PENDING: ("○", ".", 36),
    Phase.STARTING: ("◐", "~", 36),
    Phase.RUNNING: ("●", "*", 32),
    Phase.UNHEALTHY: ("▲", "!", 33),
    Phase.BACKING_OFF: ("↻", "^", 33),
    Phase.FAILED: ("✗", "x", 31),
    Phase.STOPPING: ("◑", "v", 36),
    Phase.STOPPED: ("■", "-", 0),
    Phase.DELETING: ("◌", "v", 36),
    Phase.DELETED: ("◌", "-", 0),
    Phase.UNKNOWN: ("?", "?", 33),
}
"""The sign of each phase as in the dashboard, its sign in ASCII, and its colour (SGR). A test compares the signs."""


def print_json(value: object) -> None:
    """Print one JSON document, in ASCII, which every terminal and locale can show.

    It is indented, but an array for a program has one item per line, which Python writes several times as fast.
    """
    if isinstance(value, list) and not sys.stdout.isatty():
        encode = json.JSONEncoder(allow_nan=False).encode
        print("[" + ",\n ".join(map(encode, value)) + "]")
    else:
        print(json.dumps(value, indent=2, allow_nan=False))


def instant(at: float | None) -> str | None:
    """Return the time in ISO 8601, UTC, with milliseconds; None if it is None or infinite ("never")."""
    if at is None or not math.isfinite(at):
        return None
    whole, milliseconds = divmod(round(at * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{milliseconds:03d}Z"


def local_time(at: float) -> str:
    """Return seconds since the epoch as date and time in the local time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def print_stderr(text: str) -> None:
    """Print a line on standard error; standard output is kept for the result."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # not reported anywhere; the buffer is discarded, or the flush at exit would fail too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def coloured(stream: TextIO) -> bool:
    """Whether to write colours: to a terminal that has them, unless NO_COLOR is set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def phase_sign(phase: Phase, stream: TextIO, condition: str = "") -> str:
    """Return the phase as a sign and its name, coloured if the stream allows it, with the condition if there is one."""
    sign, ascii_sign, colour = SIGNS[Phase.UNHEALTHY if condition else phase]
    text = f"{sign if encodes(stream, sign) else ascii_sign} {phase}{f', {condition}' if condition else ''}"
    return f"\x1b[{colour}m{text}\x1b[0m" if colour and coloured(stream) else text


def encodes(stream: TextIO, text: str) -> bool:
    """Whether the stream's encoding has all characters of the text."""
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def screen_width() -> int:
    """Return the terminal's width in columns, at least 40; `COLUMNS` overrides it; 80 without a terminal."""
    import shutil

    return max(40, shutil.get_terminal_size().columns)


def cells(text: str) -> int:
    """Return the number of terminal columns that the text takes, without its colour sequences."""
    if text.isascii() and "\x1b" not in text:
        return len(text)
    import unicodedata

    count, in_sequence = 0, False
    for char in text:
        if char == "\x1b":
            in_sequence = True
        elif in_sequence:
            in_sequence = not char.isalpha()
        elif not unicodedata.combining(char):
            count += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return count


def fit(text: str, width: int) -> str:
    """Return untrusted text on one line of at most `width` columns; `..` marks text that was cut off."""
    text = one_line(text)
    if cells(text) <= width:
        return text
    while text and cells(text) > width - 2:
        text = text[:-1]
    return text + ".."[:width]


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print an aligned table no wider than the screen. The last column gets the rest of the width, and is cut to it."""
    table = [list(heads), *map(list, rows)]
    widths = [max(cells(row[n]) for row in table) for n in range(len(heads) - 1)]
    left = max(10, screen_width() - sum(widths) - 2 * len(widths))
    for row in table:
        start = "".join(
            cell + " " * (width - cells(cell) + 2) for cell, width in zip(row, widths, strict=False)
        )
        print((start + fit(row[-1], left)).rstrip())


def ask(question: str) -> bool:
    """Ask on the terminal. Any answer but "y" or "yes" is no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def can_ask() -> bool:
    """Whether standard input and standard error are terminals."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
