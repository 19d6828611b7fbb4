"""The text of a job's log: the job's own output, without protocol messages and the runner's additions. Pure.

With FF_TIMESTAMPS (the default since 17.x) GitLab Runner writes before each line: the time, the number and kind of the
stream, and whether the line continues the previous one (its package `timestamper`):

    2026-11-30T15:04:13.212613Z 00O Cleaning up project directory
    2026-11-30T15:04:13.212701Z 00O+ and file based variables

It marks sections by `section_start:SECONDS:NAME` and `section_end:...`. These, like the messages of `protocol.py`, are
followed by a control sequence that erases them on a terminal (GitLab: "Job logs", custom collapsible sections).

Standard library only: every job's supervisor loads this file.
"""

from __future__ import annotations

import bisect
import re

from wsdash.backend.job.protocol import KINDS, MARK
from wsdash.backend.job.runner_log import OwnOutput

OWN = "wsdash: "
"""The prefix of lines that wsdash itself has written into a log."""
MOST_LINES = 12
_LONGEST = 1000
_STAMP = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ([0-9a-f]{2}[OE])([ +])", re.MULTILINE)
_BEGUN = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]{0,15}Z?(?: [0-9a-f]{0,2}[OE]?)?")
"""A stamp that the runner's limit of the log has cut."""
_STAMP_LENGTH = len(b"2026-11-30T15:04:13.212613Z 00O ")
_ERASED = rb"\r\x1b\[0K"
_KINDS = "|".join(KINDS).encode()
_NOISE = re.compile(
    rb"%s(?:%s) [^\r\n]*+(?:%s|\r?\n|\r?(?:\x1b(?:\[0?)?)?\Z|(?=\r))" % (re.escape(MARK), _KINDS, _ERASED)
    + rb"|section_(start|end):\d++:([\w.-]*+)(?:\[[^\[\]\r\n]*+\])?%s" % _ERASED
)
"""Reads each byte once, whatever a job writes: a message ends before the next line at the latest."""
_BEGINS = (MARK, b"section_")
_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]")
_LONGEST_HELD = 4096


class Unstamped:
    """A log without the runner's timestamps. `text` is the rest; `position` maps a byte of `text` to the log."""

    def __init__(self, log: bytes) -> None:
        self._text: list[int] = [0]
        self._log: list[int] = [0]
        if not _STAMP.match(log):
            self.text = log
            return
        parts: list[bytes] = []
        length = at = 0
        stream = b""
        for stamp in _STAMP.finditer(log):
            end = stamp.start()
            if stamp[2] == b"+" and stamp[1] == stream and log[end - 1 : end] == b"\n":
                end -= 1
            stream = stamp[1]
            parts.append(log[at:end])
            length += max(0, end - at)
            at = stamp.end()
            self._text.append(length)
            self._log.append(at)
        parts.append(log[at:])
        self.text = b"".join(parts)

    def position(self, in_text: int) -> int:
        """Return the byte of the log at which a byte of `text` stood."""
        place = bisect.bisect_right(self._text, in_text) - 1
        return self._log[place] + in_text - self._text[place]


def own_line(line: bytes) -> bytes:
    """Return one line of a log as the job wrote it."""
    return _NOISE.sub(b"", _STAMP.sub(b"", line))


class LogText:
    """Restores the job's own text from a log that arrives piece by piece."""

    def __init__(self) -> None:
        self._is_stamped: bool | None = None
        self._raw = b""
        self._ends_line = False
        self._stream = b""
        self._held = b""
        self._own = OwnOutput()

    def feed(self, data: bytes) -> bytes:
        """Return the text that is complete; hold back bytes that may begin a message or marker."""
        self._held += self._unstamp(data)
        cut = _begun(self._held)
        if len(self._held) - cut > _LONGEST_HELD:
            cut = len(self._held)
        ready, self._held = self._held[:cut], self._held[cut:]
        return self._of_job(ready)

    def rest(self, *, ended: bool = False) -> bytes:
        """Return the held bytes after a pause in the log; `ended`: the log has ended."""
        text = self._held
        if ended and self._is_stamped:
            text += self._unstamp(b"\n") if self._raw else b""
            self._ends_line = self._ends_line and not self._raw
        if self._ends_line:
            text += b"\n"
            self._ends_line = False
        if self._is_stamped is None:
            text += self._raw
            self._raw = b""
        self._held = b""
        return self._of_job(text) + self._own.rest()

    def _of_job(self, text: bytes) -> bytes:
        out = []
        at = 0
        for noise in _NOISE.finditer(text):
            out.append(self._own.feed(text[at : noise.start()]))
            at = noise.end()
            if noise[1] == b"start":
                self._own.enter(noise[2])
            elif noise[1] == b"end":
                out.append(self._own.leave(noise[2]))
        out.append(self._own.feed(text[at:]))
        return b"".join(out)

    def _unstamp(self, data: bytes) -> bytes:
        self._raw += data
        if self._is_stamped is None:
            if len(self._raw) < _STAMP_LENGTH and b"\n" not in self._raw:
                return b""
            self._is_stamped = _STAMP.match(self._raw) is not None
        if not self._is_stamped:
            data, self._raw = self._raw, b""
            return data
        whole, _, self._raw = self._raw.rpartition(b"\n")
        text = b""
        for line in whole.split(b"\n") if whole else ():
            stamp = _STAMP.match(line)
            if stamp is None and _BEGUN.fullmatch(line):
                continue
            stream = stamp[1] if stamp is not None else b""
            # Only what the same stream began goes on; another one may have written a line meanwhile.
            goes_on = stamp is not None and stamp[2] == b"+" and stream == self._stream
            text += b"\n" if self._ends_line and not goes_on else b""
            text += line[stamp.end() :] if stamp is not None else line
            self._ends_line = True
            self._stream = stream
        return text


def _begun(data: bytes) -> int:
    """Return where an incomplete message or marker may begin; the length of the data where none does."""
    line = data.rfind(b"\n") + 1
    for begin in _BEGINS:
        at = data.find(begin, line)
        while at >= 0 and (whole := _NOISE.match(data, at)) is not None and whole.end() < len(data):
            at = data.find(begin, whole.end())
        if at >= 0:
            return at
    for length in range(min(max(map(len, _BEGINS)), len(data) - line), 0, -1):
        if any(begin.startswith(data[-length:]) for begin in _BEGINS):
            return len(data) - length
    return len(data)


def last_words(text: bytes, *, own_error: bool = False, most: int = MOST_LINES) -> str:
    """Return the last lines that a job or a step wrote, as the reason for its end. Untrusted text.

    wsdash's own lines are left out: they name the step, not the reason. With `own_error`, for a step that
    wsdash ended itself, the very last line is included even if it is wsdash's, because it is the reason.
    """
    shown = _CONTROL.sub(b"", _NOISE.sub(b"\n", text)).decode("utf-8", "replace")
    lines = [line.strip().rpartition("\r")[2] for line in shown.split("\n")]
    lines = [line for line in lines if line]
    words = [line for line in lines if not line.startswith(OWN)]
    if own_error and lines and lines[-1].startswith(OWN):
        words.append(lines[-1].removeprefix(OWN))
    return "\n".join(words[-most:])[-_LONGEST:]
