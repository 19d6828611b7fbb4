"""Widgets that draw toned lines and repaint only the cells that have changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from wsdash.screens.text.spans import Line, Tone

Builder = Callable[[int, int], Sequence[Line]]
"""Makes the lines for a width and a height in cells."""

COMPONENTS = {f"line--{tone}" for tone in Tone}

LINE_CSS = """
    & > .line--strong { text-style: bold; }
    & > .line--muted { color: $text-muted; }
    & > .line--good { color: $success; }
    & > .line--busy { color: $secondary; }
    & > .line--warn { color: $warning; }
    & > .line--bad { color: $error; text-style: bold; }
    & > .line--key { color: $accent; text-style: bold; }
    & > .line--title { color: $primary; text-style: bold; }
"""


def strip_of(line: Line, width: int, style_of: Callable[[Tone], Style]) -> Strip:
    """Return the line as a strip of exactly `width` cells, in as few segments as possible.

    A blank shows no foreground, so it takes the style of the text before it: each change of style costs up to
    forty bytes.
    """
    merged: list[tuple[str, Tone]] = []
    for text, tone in line:
        if merged and (tone == merged[-1][1] or text.isspace()):
            merged[-1] = (merged[-1][0] + text, merged[-1][1])
        elif merged and merged[-1][0].isspace():
            merged[-1] = (merged[-1][0] + text, tone)
        elif text:
            merged.append((text, tone))
    strip = Strip([Segment(text, style_of(tone)) for text, tone in merged])
    last = merged[-1][1] if merged else Tone.PLAIN
    return strip.adjust_cell_length(width, style_of(last)).simplify()


Cell = tuple[str, object]
BEHIND = ""
"""The second cell of a wide character."""


def changed_cells(old: Strip, new: Strip) -> tuple[int, int] | None:
    """Return the range of cells in which two strips of one width differ, None if they are equal.

    A wide character is never divided.
    """
    if list(old) == list(new):
        return None
    before, after = _cells(old), _cells(new)
    differing = [at for at, pair in enumerate(zip_longest(before, after)) if pair[0] != pair[1]]
    if not differing:
        return None
    left, right = differing[0], differing[-1] + 1
    while left > 0 and _is_behind(before, after, left):
        left -= 1
    while _is_behind(before, after, right):
        right += 1
    return left, right


def _is_behind(before: list[Cell], after: list[Cell], at: int) -> bool:
    return any(at < len(cells) and cells[at][0] == BEHIND for cells in (before, after))


def _cells(strip: Strip) -> list[Cell]:
    """Return one entry for each cell. The foreground colour of blanks is ignored."""
    cells: list[Cell] = []
    for text, style, _ in strip:
        blank = _background(style) if style is not None else None
        if text.isascii():
            cells += [(character, blank if character == " " else style) for character in text]
            continue
        for character in text:
            width = cell_len(character)
            if width == 0 and cells:
                cells[-1] = (cells[-1][0] + character, cells[-1][1])
                continue
            cells.append((character, blank if character == " " else style))
            cells += [(BEHIND, style)] * (width - 1)
    return cells


@lru_cache(256)
def _background(style: Style) -> Style:
    return style.background_style


class Announced(Widget):
    """Calls a function when it is painted."""

    _painted: Callable[[], object] | None = None

    def when_painted(self, tell: Callable[[], object]) -> None:
        """Call `tell` once, just before the next paint."""
        self._painted = tell
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Call the function, then render."""
        if self._painted is not None:
            tell, self._painted = self._painted, None
            tell()
        return super().render_lines(crop)


class _Lines(Widget):
    """The lines of a builder, and the styles of their tones."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENTS

    def __init__(
        self,
        build: Builder | None = None,
        *,
        id: str | None = None,  # noqa: A002
        classes: str = "",
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._build: Builder = build or (lambda width, height: ())
        self._lines: tuple[Line, ...] = ()

    @property
    def text(self) -> str:
        """Return all lines as text, for tests."""
        return "\n".join("".join(text for text, _ in line) for line in self._lines)

    def show(self, build: Builder) -> None:
        """Draw other lines and keep the scroll position; only changed cells are repainted."""
        self._build = build
        self.rebuild()

    def rebuild(self) -> None:
        """Build the lines again, and repaint what has changed."""
        raise NotImplementedError

    def _repaint(self, old: Sequence[Line], top: int, height: int) -> None:
        """Repaint the cells that differ from the old lines; line `top` is the first of `height` visible lines."""
        for y in range(height):
            span = changed_cells(self._strip(old, top + y), self._strip(self._lines, top + y))
            if span:
                self.refresh(Region(span[0], y, span[1] - span[0], 1))

    def _strip(self, lines: Sequence[Line], index: int) -> Strip:
        raise NotImplementedError

    def _style_of(self, tone: Tone) -> Style:
        return self.get_component_rich_style(f"line--{tone}")


class LineView(_Lines, Announced):
    """A few lines in a fixed place, rebuilt for each width."""

    DEFAULT_CSS = f"LineView {{ height: 1; {LINE_CSS} }}"

    def __init__(
        self,
        build: Builder | None = None,
        *,
        id: str | None = None,  # noqa: A002
        classes: str = "",
        margin: int = 1,
    ) -> None:
        super().__init__(build, id=id, classes=classes)
        self._margin = margin
        self._built_for: Size | None = None

    def rebuild(self) -> None:
        """Build the lines again, and repaint what has changed."""
        size = self.content_size
        if not size.width:  # hidden: it is drawn when it is shown again, also at the size that it had
            self._built_for = None
            return
        old, self._lines = self._lines, self._built()
        self._repaint(old, 0, size.height)

    def on_resize(self) -> None:
        """Build the lines for the new size."""
        if self._built_for != self.content_size:
            self._lines = self._built()
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return one line as a strip."""
        if self._built_for != self.content_size:  # the first paint comes before the first resize event
            self._lines = self._built()
        return self._strip(self._lines, y)

    def _built(self) -> tuple[Line, ...]:
        self._built_for = self.content_size
        width, height = self.content_size
        return tuple(self._build(width - 2 * self._margin, height)) if width else ()

    def _strip(self, lines: Sequence[Line], index: int) -> Strip:
        line = lines[index] if index < len(lines) else ()
        # The margin is part of the line: as padding it would be a segment, with bytes of its own.
        margin: Line = ((" " * self._margin, Tone.PLAIN),) if line else ()
        return strip_of((*margin, *line), self.content_size.width, self._style_of)


class LineScroll(_Lines, ScrollView, inherit_bindings=False):
    """A document of lines that scrolls."""

    DEFAULT_CSS = f"""
    LineScroll {{
        height: 1fr; overflow-x: hidden; overflow-y: scroll; scrollbar-gutter: stable;
        scrollbar-size-vertical: 1; {LINE_CSS}
    }}
    """

    def __init__(
        self,
        build: Builder | None = None,
        *,
        id: str | None = None,  # noqa: A002
        classes: str = "",
        focusable: bool = True,
    ) -> None:
        super().__init__(build, id=id, classes=classes)
        self.can_focus = focusable

    def rebuild(self) -> None:
        """Build the lines again, and repaint what has changed."""
        width, height = self.scrollable_content_region.size
        if not width:
            return
        old, self._lines = self._lines, tuple(self._build(width, height))
        if len(old) != len(self._lines):
            self.virtual_size = Size(width, len(self._lines))
        self._repaint(old, self.scroll_offset.y, height)

    def on_resize(self) -> None:
        """Build the lines for the new size."""
        width, height = self.scrollable_content_region.size
        self._lines = tuple(self._build(width, height)) if width else ()
        self.virtual_size = Size(width, len(self._lines))
        self.refresh()

    def move(self, by: int) -> None:
        """Scroll by some lines."""
        self.scroll_to(y=self.scroll_offset.y + by, animate=False)

    def move_to_end(self, last: bool) -> None:
        """Scroll to the last or the first line."""
        self.scroll_to(y=self.max_scroll_y if last else 0, animate=False)

    @property
    def page(self) -> int:
        """Return the number of lines that are visible at once."""
        return max(1, self.scrollable_content_region.height)

    def render_line(self, y: int) -> Strip:
        """Return one visible line as a strip."""
        return self._strip(self._lines, self.scroll_offset.y + y)

    def _strip(self, lines: Sequence[Line], index: int) -> Strip:
        line = lines[index] if index < len(lines) else ()
        return strip_of(line, self.scrollable_content_region.width, self._style_of)
