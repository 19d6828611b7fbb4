"""The positions of the lines of a long log, without its text. Pure: bytes go in, offsets come out.

A line ends at a line feed, or after `LONGEST` bytes, so that no line is longer than a screen can show.
Only the start of every `BLOCK`th line is kept: 100 MB of ordinary log cost well under a megabyte.
"""

from __future__ import annotations

import bisect
from array import array
from itertools import accumulate

from wsdash.backend.job.log_text import own_line
from wsdash.screens.text.spans import plain

LONGEST = 1536
BLOCK = 32


def split_lines(data: bytes) -> tuple[list[bytes], bytes]:
    """Return whole lines with their line feeds, and the unfinished rest (at most `LONGEST` bytes)."""
    parts = data.split(b"\n")
    rest = parts.pop()
    lines: list[bytes] = []
    for part in parts:
        if len(part) > LONGEST:
            pieces, last = _cut(part)
            lines += pieces
            lines.append(last + b"\n")
        else:
            lines.append(part + b"\n")
    if len(rest) > LONGEST:
        pieces, rest = _cut(rest)
        lines += pieces
    return lines, rest


def _cut(data: bytes) -> tuple[list[bytes], bytes]:
    """Return pieces of at most `LONGEST` bytes, cut between UTF-8 characters, and the rest."""
    pieces: list[bytes] = []
    start = 0
    while len(data) - start > LONGEST:
        end = start + LONGEST
        for back in range(4):
            if data[end - back] & 0xC0 != 0x80:
                end -= back
                break
        pieces.append(data[start:end])
        start = end
    return pieces, data[start:]


class LineIndex:
    """The positions of the lines of a growing log. `count` includes an unfinished last line."""

    def __init__(self) -> None:
        self._starts = array("Q", [0])
        self._whole = 0
        self._at = 0
        self._rest = b""

    @property
    def size(self) -> int:
        """Return the number of bytes fed so far."""
        return self._at + len(self._rest)

    @property
    def count(self) -> int:
        """Return the number of lines."""
        return self._whole + bool(self._rest)

    @property
    def whole(self) -> int:
        """Return the number of lines that are complete."""
        return self._whole

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes, and return the lines that they complete."""
        lines, self._rest = split_lines(self._rest + data)
        ends = list(accumulate(map(len, lines), initial=self._at))
        self._at = ends[-1]
        first = BLOCK - self._whole % BLOCK
        self._starts.extend(ends[first : len(ends) : BLOCK])
        self._whole += len(lines)
        return lines

    def block_of(self, line: int) -> int:
        """Return the number of the block that contains the line."""
        return line // BLOCK

    def span(self, block: int) -> tuple[int, int]:
        """Return start and end of a block, in bytes."""
        end = self._starts[block + 1] if block + 1 < len(self._starts) else self.size
        return self._starts[block], end


class Matches:
    """The lines found so far that contain the wanted words. Letter case counts if the words have capitals."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self._fold = wanted == wanted.lower()
        self.lines = array("Q")

    def __contains__(self, line: int) -> bool:
        place = bisect.bisect_left(self.lines, line)
        return place < len(self.lines) and self.lines[place] == line

    def feed(self, first: int, lines: list[bytes]) -> None:
        """Search complete lines, the first of which has the number `first`."""
        joined = b"".join(lines)
        if b"\x1b" not in joined and not self.occurs(joined.decode("utf-8", "replace")):
            return
        for number, line in enumerate(lines, first):
            if self.occurs(plain(own_line(line).rstrip(b"\r\n").decode("utf-8", "replace"))):
                self.lines.append(number)

    def occurs(self, text: str) -> bool:
        """Whether the text contains the words."""
        return self.wanted in (text.lower() if self._fold else text)

    def places(self, text: str) -> list[tuple[int, int]]:
        """Return the positions of the words in a shown line, in characters."""
        folded = text.lower() if self._fold else text
        found: list[tuple[int, int]] = []
        start = folded.find(self.wanted)
        while self.wanted and start >= 0:
            found.append((start, start + len(self.wanted)))
            start = folded.find(self.wanted, start + len(self.wanted))
        return found if len(folded) == len(text) else []

    def after(self, line: int) -> int | None:
        """Return the next match below this line; None at the end."""
        place = bisect.bisect_right(self.lines, line)
        return self.lines[place] if place < len(self.lines) else None

    def before(self, line: int) -> int | None:
        """Return the next match above this line; None at the start."""
        place = bisect.bisect_left(self.lines, line)
        return self.lines[place - 1] if place else None
