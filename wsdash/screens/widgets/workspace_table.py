"""The list of workspaces, drawn line by line: only rows that have changed are painted again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from wsdash.screens.text.glyphs import Glyphs
from wsdash.screens.text.rows import RowView, patch
from wsdash.screens.text.spans import Line, Tone, fit
from wsdash.screens.widgets.line_view import COMPONENTS, LINE_CSS, changed_cells, strip_of


@dataclass(frozen=True, slots=True)
class Widths:
    """The width of each column in cells. It depends on the width of the list, never on its content."""

    status: int
    health: int
    name: int
    project: int
    age: int
    saved: int
    event: int


def widths(total: int) -> Widths:
    """Return the columns for a list of `total` cells, two of which are the margin for cursor and mark."""
    spare = max(0, total - 79)
    name, project = 16 + min(10, spare // 5), 17 + min(14, spare // 4)
    saved = 10 if total >= 100 else 0
    fixed = 2 + 14 + name + project + 11 + 9 + saved
    return Widths(14, 11, name, project, 9, saved, max(0, total - fixed))


def header(total: int) -> Line:
    """Return the names of the columns."""
    columns = widths(total)
    return (
        (
            "  "
            + fit("STATUS", columns.status)
            + fit("HEALTH", columns.health)
            + fit("NAME", columns.name)
            + fit("PROJECT@REF", columns.project)
            + fit("AGE", columns.age)
            + fit("SAVED", columns.saved)
            + fit("LAST EVENT", columns.event),
            Tone.MUTED,
        ),
    )


class WorkspaceTable(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows, a cursor and marks. The cursor stays on its workspace when rows move."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENTS | {"table--cursor"}
    DEFAULT_CSS = f"""
    WorkspaceTable {{
        height: 1fr; overflow-x: hidden; overflow-y: scroll; scrollbar-gutter: stable;
        scrollbar-size-vertical: 1; {LINE_CSS}
        & > .table--cursor {{ background: $block-cursor-background; color: $block-cursor-foreground; }}
        &:nocolor > .table--cursor {{ text-style: reverse; }}
    }}
    """

    @dataclass
    class Selected(Message):
        """The cursor moved to another workspace (None: there is none)."""

        key: str | None

    @dataclass
    class Opened(Message):
        """A workspace was double-clicked."""

        key: str

    def __init__(self, glyphs: Glyphs, empty: Sequence[Line] = ()) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._rows: list[RowView] = []
        self._cursor = 0
        self._marked: frozenset[str] = frozenset()
        self._empty = tuple(empty)

    @property
    def selected(self) -> str | None:
        """Return the key of the row under the cursor."""
        return self._rows[self._cursor].key if self._rows else None

    @property
    def cursor(self) -> int:
        """Return the number of the row under the cursor."""
        return self._cursor

    @property
    def page(self) -> int:
        """Return the number of rows that are visible at once."""
        return max(1, self.scrollable_content_region.height)

    def set_rows(self, rows: Sequence[RowView], empty: Sequence[Line] = ()) -> None:
        """Show these rows, and paint only the difference."""
        was = self.selected
        old, self._rows = self._rows, list(rows)
        patched = patch(old, self._rows)
        blank, self._empty = self._empty, tuple(empty)
        places = {row.key: place for place, row in enumerate(self._rows)}
        self._cursor = places.get(was or "", min(self._cursor, max(0, len(rows) - 1)))
        if patched.in_place:
            for key in patched.changed:
                self._repaint(places[key], old[places[key]])
            if not rows and blank != self._empty:
                self.refresh()
        else:
            self.virtual_size = Size(self.scrollable_content_region.width, len(rows))
            self.refresh()
            self._scroll_to_cursor()
        if self.selected != was:
            self.post_message(self.Selected(self.selected))

    def set_marked(self, marked: frozenset[str]) -> None:
        """Show these workspaces as marked."""
        changed = self._marked ^ marked
        self._marked = marked
        for place, row in enumerate(self._rows):
            if row.key in changed:
                self._refresh_place(place)

    def select(self, key: str) -> None:
        """Move the cursor to this workspace, if it is listed."""
        for place, row in enumerate(self._rows):
            if row.key == key:
                self._move_cursor(place)

    def move(self, by: int) -> None:
        """Move the cursor by some rows."""
        self._move_cursor(self._cursor + by)

    def move_to_end(self, last: bool) -> None:
        """Move the cursor to the last or the first row."""
        self._move_cursor(len(self._rows) - 1 if last else 0)

    def on_resize(self) -> None:
        """Adapt to the new size."""
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._rows))
        self.refresh()  # else the rows would be painted only with the next change
        self._scroll_to_cursor()

    def on_click(self, event: events.Click) -> None:
        """Select the clicked workspace, or open it with a double click."""
        offset = event.get_content_offset(self)
        place = self.scroll_offset.y + offset.y if offset else len(self._rows)
        if place < len(self._rows):
            self._move_cursor(place)
            if event.chain == 2:
                self.post_message(self.Opened(self._rows[place].key))

    def render_line(self, y: int) -> Strip:
        """Return one visible row as a strip."""
        place = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        if self._rows:
            return (
                self._strip(self._rows[place], place, width)
                if place < len(self._rows)
                else self._blank(width)
            )
        top = max(0, (self.page - len(self._empty)) // 3)
        if 0 <= y - top < len(self._empty):
            return strip_of((("  ", Tone.PLAIN), *self._empty[y - top]), width, self._style_of)
        return self._blank(width)

    def _blank(self, width: int) -> Strip:
        return Strip.blank(width, self._style_of(Tone.PLAIN))

    def _strip(self, row: RowView, place: int, width: int) -> Strip:
        columns, dots = widths(width), self._glyphs.ellipsis
        here, marked = place == self._cursor, row.key in self._marked
        margin = (self._glyphs.cursor if here else " ") + (self._glyphs.mark if marked else " ")
        health = Tone.MUTED if row.health in ("", "healthy") else Tone.WARN

        def column(text: str, cells: int) -> str:
            return fit(text, cells - 1, ellipsis=dots) + " "

        cells = (
            (margin, Tone.KEY),
            (column(row.status, columns.status), row.tone),
            (column(row.health, columns.health), health),
            (column(row.name, columns.name), Tone.STRONG),
            (column(row.project, columns.project), Tone.PLAIN),
            (column(row.age, columns.age), Tone.MUTED),
            (column(row.saved, columns.saved) if columns.saved else "", Tone.MUTED),
            (fit(row.event, columns.event, ellipsis=dots), Tone.MUTED),
        )
        if not here:
            return strip_of(cells, width, self._style_of)
        cursor = self.get_component_rich_style("table--cursor")
        # One style for the whole line: fewer bytes for each step, and readable on any theme.
        return Strip(
            [
                Segment(margin, cursor + Style(bold=True)),
                Segment("".join(text for text, _ in cells[1:]), cursor),
            ]
        ).adjust_cell_length(width, cursor)

    def _style_of(self, tone: Tone) -> Style:
        return self.get_component_rich_style(f"line--{tone}")

    def _repaint(self, place: int, old: RowView) -> None:
        y = place - self.scroll_offset.y
        if not 0 <= y < self.page:
            return
        width = self.scrollable_content_region.width
        span = changed_cells(self._strip(old, place, width), self._strip(self._rows[place], place, width))
        if span:
            self.refresh(Region(span[0], y, span[1] - span[0], 1))

    def _refresh_place(self, place: int) -> None:
        """Repaint a row without the scrollbar's cell, unlike `refresh_line`."""
        y = place - self.scroll_offset.y
        if 0 <= y < self.page:
            self.refresh(Region(0, y, self.scrollable_content_region.width, 1))

    def _move_cursor(self, place: int) -> None:
        place = max(0, min(place, len(self._rows) - 1))
        if place == self._cursor or not self._rows:
            return
        old, self._cursor = self._cursor, place
        self._refresh_place(old)
        self._refresh_place(place)
        self._scroll_to_cursor()
        self.post_message(self.Selected(self.selected))

    def _scroll_to_cursor(self) -> None:
        top = self.scroll_offset.y
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False)
        elif self._cursor >= top + self.page:
            self.scroll_to(y=self._cursor - self.page + 1, animate=False)
