"""Tells the job's own output from what GitLab Runner writes around it, by the runner's section marks. Pure.

The runner marks its stages as sections (GitLab Runner, `common/build.go`): those before the script prepare it, those
after it save the cache and clean up. A section begins with a line that names it; in that of the script, each command
is printed in green before it runs.

Standard library only: every job's supervisor loads this file.
"""

from __future__ import annotations

import re

SCRIPTS = frozenset({b"script", b"step_script", b"build_script", b"after_script"})
"""The sections with output of the job."""
_FIRST = (b"\x1b[0KRunning with gitlab-runner", b"Running with gitlab-runner")
_BEGINS = (b"\x1b[32;1m", b"\x1b[0KUsing ")
OF_RUNNER = re.compile(
    rb"\x1b\[32;1m(?:\$ |Running after script)"
    rb"|\x1b\[0KUsing (?:docker image|effective pull policy|locally found image|helper image|Docker executor)"
)
"""Lines of the runner in the section of a script: its commands, and with the docker executor the image."""
_ERROR = re.compile(rb"(?:\x1b\[[0-9;]*[mK])*(ERROR: .*)", re.DOTALL)
MOST_HELD = 1024 * 1024
"""Bytes of the runner's preparation that are held back until the script begins."""


class OwnOutput:
    """Passes on what the job wrote, piece by piece; everything in a log that no runner wrote.

    The runner's preparation is passed on only if the log pauses or ends before the script begins, and of what it writes
    after the script only the reason for a failure.
    """

    def __init__(self) -> None:
        self._part = "beginning"
        """Of the log: `beginning`, `plain` (no runner's), `before`, `title`, `script` or `after`."""
        self._held = b""
        self._is_shown = False
        """Whether the runner's preparation is shown."""
        self._is_in_line = False

    def enter(self, section: bytes) -> None:
        """Note the beginning of a section."""
        if self._part == "beginning":
            self._part = "before"
        if self._part in ("before", "after") and section in SCRIPTS:
            self._part, self._held = "title", b""

    def leave(self, section: bytes) -> bytes:
        """Note the end of a section; return text of the job that was held back."""
        if self._part not in ("title", "script") or section not in SCRIPTS:
            return b""
        rest = self.rest() if self._part == "script" else b""
        self._part, self._held, self._is_in_line = "after", b"", False
        return rest

    def feed(self, text: bytes) -> bytes:
        """Return the job's part of more text."""
        text, self._held = self._held + text, b""
        if self._part == "beginning":
            if len(text) < len(_FIRST[0]) and any(first.startswith(text) for first in _FIRST):
                self._held = text
                return b""
            self._part = "before" if text.startswith(_FIRST) else "plain"
        if self._part == "before" and not self._is_shown and len(text) <= MOST_HELD:
            self._held = text
            return b""
        if self._part == "title":
            title, end, text = text.partition(b"\n")
            if not end:
                self._held = title
                return b""
            self._part = "script"
        if self._part == "script":
            return self._of_script(text)
        return self._errors(text) if self._part == "after" else text

    def rest(self) -> bytes:
        """Return what is held back, when the log pauses or ends."""
        if self._part in ("title", "after") or (self._part == "script" and OF_RUNNER.match(self._held)):
            return b""
        if self._part == "before":
            self._is_shown = True
        held, self._held = self._held, b""
        self._is_in_line = self._is_in_line or bool(held)
        return held

    def _of_script(self, text: bytes) -> bytes:
        lines = text.split(b"\n")
        last = lines.pop()
        out = b"".join(
            line + b"\n"
            for place, line in enumerate(lines)
            if (place == 0 and self._is_in_line) or not OF_RUNNER.match(line)
        )
        self._is_in_line = self._is_in_line and not lines
        if not self._is_in_line and last and any(begin.startswith(last[: len(begin)]) for begin in _BEGINS):
            self._held = last
            return out
        self._is_in_line = self._is_in_line or bool(last)
        return out + last

    def _errors(self, text: bytes) -> bytes:
        *whole, self._held = text.split(b"\n")
        self._held = self._held[-MOST_HELD:]
        return b"".join(found[1] + b"\n" for line in whole if (found := _ERROR.match(line)))
