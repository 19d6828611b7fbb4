"""A log of any length, drawn line by line from the bytes that are on the screen."""

from __future__ import annotations

import bisect
from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from wsdash.backend.job.log_text import own_line
from wsdash.screens.widgets.ansi import coloured
from wsdash.screens.widgets.log_index import BLOCK, LineIndex, Matches, split_lines

Fetch = Callable[[int, int], Awaitable[bytes]]
"""Reads bytes of the log: offset and length."""

MOST_BLOCKS = 128
SIDE_STEP = 16


class TraceView(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows all or some lines of an index, and requests the bytes of visible lines that it does not have."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"trace--match", "trace--here"}
    DEFAULT_CSS = """
    TraceView {
        height: 1fr; overflow-x: hidden; overflow-y: scroll; scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        & > .trace--match { background: $warning; color: $background; text-style: bold; }
        & > .trace--here { background: $block-cursor-background; }
        &:nocolor > .trace--match { text-style: reverse; }
        &:nocolor > .trace--here { text-style: underline; }
    }
    """

    @dataclass
    class Missing(Message):
        """Blocks of visible lines whose bytes are not loaded."""

        blocks: frozenset[int]

        def can_replace(self, message: Message) -> bool:
            """Let only the newest of several waiting messages be handled."""
            return isinstance(message, type(self))

    @dataclass
    class Moved(Message):
        """The user has scrolled."""

    def __init__(self) -> None:
        super().__init__()
        self.index = LineIndex()
        self.matches: Matches | None = None
        self.here: int | None = None
        """The line number of the current match."""
        self._only: array[int] | None = None
        self._wrap = False
        self._side = 0
        self._counted = 0
        self._wrapped: list[Strip] = []
        self._blocks: OrderedDict[int, tuple[int, list[bytes]]] = OrderedDict()

    # What is shown

    def reset(self) -> None:
        """Start with another log."""
        self.index = LineIndex()
        self.matches = None
        self.here = None
        self._only = None
        self._blocks.clear()
        self._side = 0
        self.grown()
        self.refresh()
        self.scroll_to(y=0, animate=False)

    @property
    def count(self) -> int:
        """Return the number of lines that can be scrolled to."""
        return len(self._only) if self._only is not None else self.index.count

    @property
    def page(self) -> int:
        """Return the number of lines that are visible at once."""
        return max(1, self.scrollable_content_region.height)

    @property
    def wrapped(self) -> bool:
        """Whether long lines are wrapped."""
        return self._wrap

    @property
    def top(self) -> int:
        """Return the number of the log line at the top of the screen."""
        return self._line(min(self.scroll_offset.y, max(0, self.count - 1)))

    @property
    def at_end(self) -> bool:
        """Whether the last line is visible."""
        return self.scroll_offset.y >= self._last_top()

    def grown(self) -> None:
        """Extend the scrollable size after the index or the matches have grown."""
        before, self._counted = self._counted, self.count
        extra = self.page - 1 if self._wrap else 0
        size = Size(self.scrollable_content_region.width, self.count + extra)
        if size != self.virtual_size:
            self.virtual_size = size
        if self._wrap or before > self.count:
            self.refresh()
        elif before <= self.scroll_offset.y + self.page:
            first = max(self.scroll_offset.y, before - 1)  # the last line may have been unfinished
            self.refresh_lines(first, self.page)

    def show_only(self, lines: array[int] | None) -> None:
        """Show only these lines, or all; the top line stays near its place."""
        top = self.top
        self._only = lines
        self.grown()
        self.refresh()
        self.go_to(top)

    def set_wrap(self, wrap: bool) -> None:
        """Wrap or cut long lines."""
        self._wrap = wrap
        self._side = 0
        self.grown()
        self.refresh()

    def show_matches(self, matches: Matches | None) -> None:
        """Highlight these matches."""
        self.matches = matches
        self.here = None
        self.refresh()

    # Movement

    def move(self, by: int) -> None:
        """Scroll by some lines."""
        self.scroll_to(y=max(0, min(self.scroll_offset.y + by, self._last_top())), animate=False)
        self.post_message(self.Moved())

    def move_to_end(self, last: bool) -> None:
        """Scroll to the last or the first line."""
        self.scroll_to(y=self._last_top() if last else 0, animate=False)
        self.post_message(self.Moved())

    def move_sideways(self, steps: int) -> None:
        """Scroll by some steps to the right, to the left if negative."""
        if not self._wrap:
            self._side = max(0, self._side + steps * SIDE_STEP)
            self.refresh()

    def follow(self) -> None:
        """Scroll to the end without a `Moved` message."""
        self.scroll_to(y=self._last_top(), animate=False)

    def go_to(self, line: int, *, lead: int = 0) -> None:
        """Scroll a log line to the top, with `lead` lines above it."""
        place = line
        if self._only is not None:
            place = bisect.bisect_left(self._only, line)
        self.scroll_to(y=max(0, min(place - lead, self._last_top())), animate=False)

    # Bytes

    def put(self, block: int, data: bytes) -> None:
        """Keep the bytes of one block of lines, and forget the blocks that were not used for longest."""
        lines, rest = split_lines(data)
        self._blocks[block] = (len(data), [*lines, rest] if rest else lines)
        self._blocks.move_to_end(block)
        while len(self._blocks) > MOST_BLOCKS:
            self._blocks.popitem(last=False)
        self.refresh()

    def missing(self) -> frozenset[int]:
        """Return the blocks on the screen or next to it that are not loaded, or not in full."""
        top = self.scroll_offset.y
        wanted = range(max(0, top - self.page), min(self.count, top + 2 * self.page))
        blocks = {self.index.block_of(self._line(place)) for place in wanted}
        return frozenset(block for block in blocks if not self._is_whole(block))

    def text_of(self, line: int) -> bytes | None:
        """Return the bytes of a line, None if they are not loaded."""
        held = self._blocks.get(self.index.block_of(line))
        offset = line % BLOCK
        return held[1][offset] if held is not None and offset < len(held[1]) else None

    def _is_whole(self, block: int) -> bool:
        held = self._blocks.get(block)
        start, end = self.index.span(block)
        return held is not None and held[0] >= end - start

    # Drawing

    def on_resize(self) -> None:
        """Adapt to the new size."""
        self.grown()
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Request missing blocks, then render."""
        missing = self.missing()
        if missing:
            self.post_message(self.Missing(missing))
        if self._wrap:
            self._wrapped = self._wrap_page()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Return one visible row as a strip."""
        width = self.scrollable_content_region.width
        if self._wrap:
            return self._wrapped[y] if y < len(self._wrapped) else self._blank(width)
        place = self.scroll_offset.y + y
        if place >= self.count:
            return self._blank(width)
        strip = Strip(self._segments(self._line(place)))
        return strip.crop_extend(self._side, self._side + width, self.rich_style)

    def _line(self, place: int) -> int:
        if self._only is None:
            return place
        return self._only[place] if place < len(self._only) else 0

    def _last_top(self) -> int:
        if not self._wrap:
            return max(0, self.count - self.page)
        width = max(1, self.scrollable_content_region.width)
        room, place = self.page, self.count
        while place > 0:
            room -= self._height(self._line(place - 1), width)
            if room < 0:
                break
            place -= 1
        return min(place, max(0, self.count - 1))

    def _height(self, line: int, width: int) -> int:
        return len(self._fold(Strip(self._segments(line)), width))

    def _wrap_page(self) -> list[Strip]:
        """Return the visible rows when long lines are wrapped."""
        width = max(1, self.scrollable_content_region.width)
        rows: list[Strip] = []
        place = self.scroll_offset.y
        while len(rows) < self.page and place < self.count:
            rows += self._fold(Strip(self._segments(self._line(place))), width)
            place += 1
        return rows

    def _fold(self, strip: Strip, width: int) -> list[Strip]:
        """Return a long strip as rows of this width; a wide character is never cut."""
        rows: list[list[Segment]] = [[]]
        room = width
        for text, style, _ in strip:
            for char_row, piece in enumerate(_pieces(text, room, width)):
                if char_row:
                    rows.append([])
                    room = width
                rows[-1].append(Segment(piece, style))
                room -= cell_len(piece)
        return [Strip(row).adjust_cell_length(width, self.rich_style) for row in rows]

    def _segments(self, line: int) -> list[Segment]:
        raw = self.text_of(line)
        base = self.rich_style
        if raw is None:
            return [Segment("", base)]
        pieces = coloured(own_line(raw).decode("utf-8", "replace"))
        if line == self.here:
            base = base + self.get_component_rich_style("trace--here", partial=True)
        segments = [Segment(text, base + style) for text, style in pieces]
        places = self.matches.places("".join(text for text, _ in pieces)) if self.matches else []
        return _highlighted(segments, places, self.get_component_rich_style("trace--match", partial=True))

    def _blank(self, width: int) -> Strip:
        return Strip.blank(width, self.rich_style)


def _pieces(text: str, room: int, width: int) -> list[str]:
    """Cut a text for the room that is left in a row, and then for whole rows."""
    if cell_len(text) <= room:
        return [text]
    first = chop_cells(text, room)[0] if cell_len(text[0]) <= room else ""
    return [first, *chop_cells(text[len(first) :], width)]


def _highlighted(
    segments: Sequence[Segment], places: Sequence[tuple[int, int]], style: Style
) -> list[Segment]:
    """Return the segments with a style added to some character ranges."""
    if not places:
        return list(segments)
    cuts = sorted({cut for place in places for cut in place})
    result: list[Segment] = []
    at = 0
    for text, own, _ in segments:
        inner = [cut - at for cut in cuts if 0 < cut - at < len(text)]
        for start, end in zip([0, *inner], [*inner, len(text)], strict=True):
            lit = any(left <= at + start < right for left, right in places)
            result.append(Segment(text[start:end], (own or Style()) + style if lit else own))
        at += len(text)
    return result
