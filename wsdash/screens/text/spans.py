"""Lines of text for the screen: made safe, measured in cells, cut and wrapped. Independent of widgets.

Text from jobs, repositories and servers is untrusted: screens show it through `plain` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from rich.cells import cell_len, chop_cells, set_cell_size

from wsdash.sanitize import printable


class Tone(StrEnum):
    """The meaning of a piece of text; the style sheet assigns colours."""

    PLAIN = "plain"
    STRONG = "strong"
    MUTED = "muted"
    GOOD = "good"
    BUSY = "busy"
    WARN = "warn"
    BAD = "bad"
    KEY = "key"
    TITLE = "title"


Span = tuple[str, Tone]
Line = tuple[Span, ...]

TAB = 8


def plain(text: str) -> str:
    """Return the text as one line, without control characters and sequences.

    Tabs are expanded, line ends become spaces, and text that a carriage return would have overwritten is left out.
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n").rstrip("\r\n")
    if "\r" in text:
        text = "\n".join(line.rpartition("\r")[2] for line in text.split("\n"))
    return printable(text).expandtabs(TAB).replace("\n", " ")


def fit(text: str, width: int, *, ellipsis: str = "…") -> str:
    """Return the text in exactly `width` cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    length = len(text) if text.isascii() else cell_len(text)
    if length <= width:
        return text + " " * (width - length)
    if width <= len(ellipsis):
        return set_cell_size(text, width)
    return set_cell_size(text, width - len(ellipsis)) + ellipsis


def wrap(text: str, width: int, *, most: int | None = None, ellipsis: str = "…") -> list[str]:
    """Return the text in lines of at most `width` cells, broken between words if possible.

    All lines are indented as the text is. With more than `most` lines the last one ends with an ellipsis.
    """
    indent = len(text) - len(text.lstrip(" "))
    if 0 < indent < width // 2:
        inner = wrap(text[indent:], width - indent, most=most, ellipsis=ellipsis)
        return [" " * indent + line for line in inner]
    lines: list[str] = []
    current = ""
    for word in text.strip(" ").split(" "):
        joined = f"{current} {word}" if current else word
        if cell_len(joined) <= width:
            current = joined
            continue
        if current:
            lines.append(current)
        *full, current = chop_cells(word, max(1, width)) or [""]
        lines += full
    lines.append(current)
    if most is not None and len(lines) > most:
        lines = [*lines[: most - 1], fit(" ".join(lines[most - 1 :]), width, ellipsis=ellipsis)]
    return lines


def width_of(line: Line) -> int:
    """Return the number of cells of a line."""
    return sum(cell_len(text) for text, _ in line)


def shortened(line: Line, width: int, ellipsis: str) -> Line:
    """Return the line without its last spans, as many as do not fit."""
    if width_of(line) <= width:
        return line
    spans = list(line)
    while spans and width_of(tuple(spans)) > width - len(ellipsis) - 1:
        spans.pop()
    while spans and not spans[-1][0].strip():
        spans.pop()
    return (*spans, (f" {ellipsis}", Tone.MUTED))


def joined(parts: Sequence[Line], gap: str = "   ") -> Line:
    """Join short lines into one, with a gap between them."""
    spans: list[Span] = []
    for part in parts:
        if part:
            spans += [(gap, Tone.MUTED), *part] if spans else part
    return tuple(spans)
