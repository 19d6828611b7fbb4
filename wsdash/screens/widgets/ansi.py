"""The colours of a log line, as styles. All other control sequences of a job are removed.

ECMA-48, section 8.3.117 (SGR), with the 256-colour and RGB extensions. Each line starts afresh.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.color import Color
from rich.style import Style

from wsdash.screens.text.spans import plain

_SGR = re.compile(r"\x1b\[([0-9;:]*)m")
_ON: dict[int, Style] = {
    1: Style(bold=True),
    2: Style(dim=True),
    3: Style(italic=True),
    4: Style(underline=True),
    7: Style(reverse=True),
    22: Style(bold=False, dim=False),
    23: Style(italic=False),
    24: Style(underline=False),
    27: Style(reverse=False),
    39: Style(color="default"),
    49: Style(bgcolor="default"),
}
NOTHING = Style()


def coloured(line: str) -> list[tuple[str, Style]]:
    """Return a raw line as pieces of plain text with styles."""
    line = line.rstrip("\r\n").rpartition("\r")[2]
    if "\x1b" not in line:
        return [(plain(line), NOTHING)]
    pieces: list[tuple[str, Style]] = []
    style, start = NOTHING, 0
    for found in _SGR.finditer(line):
        _append(pieces, line[start : found.start()], style)
        style = _after(style, found[1])
        start = found.end()
    _append(pieces, line[start:], style)
    return pieces


def _append(pieces: list[tuple[str, Style]], raw: str, style: Style) -> None:
    text = plain(raw) if raw else ""
    if text:
        pieces.append((text, style))


def _after(style: Style, parameters: str) -> Style:
    numbers = iter([int(part) if part else 0 for part in re.split("[;:]", parameters)])
    for number in numbers:
        if number == 0:
            style = NOTHING
        elif number in _ON:
            style += _ON[number]
        elif number in (38, 48):
            colour = _extended(numbers)
            if colour is not None:
                style += Style(color=colour) if number == 38 else Style(bgcolor=colour)
        elif 30 <= number <= 37 or 90 <= number <= 97:
            style += Style(color=Color.from_ansi(number - 30 if number < 90 else number - 82))
        elif 40 <= number <= 47 or 100 <= number <= 107:
            style += Style(bgcolor=Color.from_ansi(number - 40 if number < 100 else number - 92))
    return style


def _extended(numbers: Iterator[int]) -> Color | None:
    """`5;N` or `2;R;G;B` after 38 or 48; None when it is neither or out of range."""
    kind = next(numbers, None)
    if kind == 5:
        number = next(numbers, 0)
        return Color.from_ansi(number) if number < 256 else None
    if kind == 2:
        red, green, blue = (next(numbers, 0) for _ in range(3))
        return Color.from_rgb(red, green, blue) if max(red, green, blue) < 256 else None
    return None
