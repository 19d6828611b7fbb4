"""Makes text from jobs, repositories and servers safe to show on a terminal.

Such text may contain control sequences that move the cursor, set the title, write the clipboard or make the
terminal send an answer (ECMA-48, section 5; xterm's control sequences), and characters that reorder a line.
"""

from __future__ import annotations

import re

_SEQUENCE = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # a control sequence (CSI)
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # a control string (OSC, DCS)
    r"|\x1b[ -/]*[0-~]"  # another escape sequence
)
_UNSEEN = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff\ud800-\udfff]"  # characters without width or that change the direction of writing
)


def printable(text: str) -> str:
    """Return the text without control sequences and characters; tabs and line feeds stay.

    A carriage return before a line feed is removed; one alone, as in progress bars, becomes a line feed.
    """
    if text.isprintable():
        return text
    text = re.sub(_SEQUENCE, "", text)
    return re.sub(_UNSEEN, "", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """Return the text as `printable` does, on one line: each run of white space becomes one space."""
    return " ".join(printable(text).split())
