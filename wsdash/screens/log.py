"""The log of one attempt, to follow, search and filter; fast enough for 100 MB."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal

from wsdash.screens.action import ScreenKind
from wsdash.screens.base import WsdashScreen, bindings_of
from wsdash.screens.text.glyphs import TONES
from wsdash.screens.text.rows import row_of
from wsdash.screens.text.spans import Line, Tone, joined, plain, shortened
from wsdash.screens.widgets.find_input import FindInput
from wsdash.screens.widgets.key_bar import KeyBar
from wsdash.screens.widgets.line_view import LineView
from wsdash.screens.widgets.log_index import Matches, split_lines
from wsdash.screens.widgets.log_view import TraceView
from wsdash.screens.workspace_actions import WorkspaceActionsMixin

if TYPE_CHECKING:
    from wsdash.backend.store.reader import WorkspaceRow
    from wsdash.model import Workspace

CHUNK = 256 * 1024
PAINT_S = 0.25
"""The shortest interval between two paints."""
SLOWEST_POLL_S = 1.0


class LogScreen(WorkspaceActionsMixin, WsdashScreen[None]):
    """Reads the log in chunks, and keeps the positions of its lines, not its text."""

    WHERE: ClassVar[ScreenKind] = ScreenKind.LOG
    BINDINGS = bindings_of(ScreenKind.LOG)

    def __init__(self, workspace: Workspace, *, attempt: int | None = None) -> None:
        super().__init__()
        self._workspace = workspace
        self._attempt = attempt
        self._numbers: list[int] = []
        self._following = True
        self._log_size = 0
        self._ended = False
        self._only = False
        self._looked_through: Matches | None = None

    def compose(self) -> ComposeResult:
        """Yield heading, counts, log and key bar."""
        yield LineView(self._heading, id="head")
        with Horizontal(id="state"):
            yield LineView(self._state, id="counts")
        yield TraceView()
        yield KeyBar(self.WHERE, self.why_not)

    def on_mount(self) -> None:
        """Focus the log, and start reading."""
        self.trace_view.focus()
        self.spawn(self._begin(), "attempts")

    @property
    def trace_view(self) -> TraceView:
        """Return the widget that shows the log."""
        return self.query_one(TraceView)

    def movable(self) -> TraceView:
        """Return the log."""
        return self.trace_view

    def current(self) -> WorkspaceRow | None:
        """Return the workspace's row."""
        return row_of(self.dashboard.rows, self._workspace.id)

    def store_changed(self) -> None:
        """Look for a new attempt, or close the screen if the workspace is gone."""
        if self.left_if_gone(self._workspace.name):
            return
        self.query_one("#head", LineView).rebuild()
        self.refresh_keys()
        self.spawn(self._see_new_attempts(), "attempts", exclusive=True)

    # Reading

    async def _begin(self) -> None:
        await self._see_new_attempts()
        self._show_attempt(self._attempt or (self._numbers[-1] if self._numbers else 1))

    async def _see_new_attempts(self) -> None:
        """Read the attempts. If the newest one was followed, continue with the one that replaced it."""
        detail = await self.dashboard.service.queries.detail(self._workspace.id)
        was_newest = not self._numbers or self._attempt == self._numbers[-1]
        numbers = sorted(attempt.number for attempt in detail.attempts)
        new = numbers != self._numbers
        self._numbers = numbers
        if new and was_newest and self._following and self._attempt is not None and numbers:
            self._show_attempt(numbers[-1])
        self._redraw()

    def _show_attempt(self, number: int) -> None:
        self._attempt = number
        self._ended = False
        self._log_size = 0
        matches = self.trace_view.matches
        self.trace_view.reset()
        if matches is not None:
            self._looked_through = Matches(matches.wanted)
            self.trace_view.show_matches(self._looked_through)
        self._apply_only()
        self._redraw()
        self.spawn(self._read(number), "log", exclusive=True)

    async def _read(self, number: int) -> None:
        """Read to the end, then poll for more; paint at most every `PAINT_S`."""
        view = self.trace_view
        loop = asyncio.get_running_loop()
        pause, painted = PAINT_S, 0.0
        while True:
            chunk = await self.dashboard.service.queries.read_log(
                self._workspace.id, attempt=number, offset=view.index.size, limit=CHUNK
            )
            if 0 < chunk.size < view.index.size:  # it was cut, and its lines are others
                self._show_attempt(number)
                return
            self._log_size = chunk.size
            self._ended = chunk.ended
            if chunk.data:
                self._take(chunk.data)
            behind = bool(chunk.data) and view.index.size < chunk.size
            if chunk.data and (not behind or loop.time() - painted >= PAINT_S):
                painted = loop.time()
                self._paint()
            if behind:
                await asyncio.sleep(0)
                continue
            if self._ended and not chunk.data:
                self._redraw()
                return
            pause = PAINT_S if chunk.data else min(SLOWEST_POLL_S, pause * 1.5)
            await asyncio.sleep(pause)

    def _take(self, data: bytes) -> None:
        view = self.trace_view
        first = view.index.whole
        lines = view.index.feed(data)
        if view.matches is not None and view.matches is self._looked_through:
            view.matches.feed(first, lines)

    def _paint(self) -> None:
        view = self.trace_view
        view.grown()
        if self._following and view.index.size >= self._log_size:
            view.follow()
        self._redraw()

    @on(TraceView.Missing)
    def _on_missing(self, message: TraceView.Missing) -> None:
        self.spawn(self._fetch(message.blocks), "fetch", exclusive=True)

    async def _fetch(self, blocks: frozenset[int]) -> None:
        """Read the bytes of some blocks, and show them."""
        view, number = self.trace_view, self._attempt
        for block in sorted(blocks):
            start, end = view.index.span(block)
            chunk = await self.dashboard.service.queries.read_log(
                self._workspace.id, attempt=number, offset=start, limit=end - start
            )
            if number != self._attempt:
                return
            view.put(block, chunk.data)
        if self._following:
            view.follow()

    @on(TraceView.Moved)
    def _on_moved(self) -> None:
        """Follow the log if the reader has scrolled to the end; stop following otherwise."""
        self._following = self.trace_view.at_end
        self._redraw()

    # Finding

    @property
    def _looking(self) -> bool:
        """Whether earlier lines are still being searched."""
        return self.trace_view.matches is not self._looked_through

    async def action_view_find(self) -> None:
        """Open the line for the words to find."""
        line = self.query_one("#state", Horizontal)
        if not line.query(FindInput):
            matches = self.trace_view.matches
            await line.mount(FindInput(matches.wanted if matches else ""), before=0)
        line.query_one(FindInput).focus()

    async def on_find_input_left(self, message: FindInput.Left) -> None:
        """Search for the words that were typed."""
        await message.control.remove()
        self.trace_view.focus()
        self._find(message.words)

    def _find(self, words: str) -> None:
        view, top = self.trace_view, self.trace_view.top
        matches = Matches(words) if words else None
        view.show_matches(matches)
        self._looked_through = None
        self._only = self._only and bool(words)
        self._apply_only()
        if matches is not None:
            self._following = False
            self.spawn(self._look_through(matches, top), "find", exclusive=True)
        self._redraw()

    async def _look_through(self, matches: Matches, top: int) -> None:
        """Search all lines so far, and go to the first match below the top of the screen."""
        view, number = self.trace_view, self._attempt
        line, offset, gone, carry = 0, 0, False, b""
        loop = asyncio.get_running_loop()
        painted = loop.time()
        while offset < view.index.size:
            chunk = await self.dashboard.service.queries.read_log(
                self._workspace.id, attempt=number, offset=offset, limit=CHUNK
            )
            if not chunk.data or number != self._attempt:
                break
            offset += len(chunk.data)
            lines, carry = split_lines(carry + chunk.data)
            matches.feed(line, lines)
            line += len(lines)
            if not gone and matches.after(top - 1) is not None:
                gone = True
                self._go_to_match(matches.after(top - 1))
            if loop.time() - painted >= PAINT_S:
                painted = loop.time()
                view.grown()
                self._redraw()
            await asyncio.sleep(0)
        if view.matches is matches:
            self._looked_through = matches
        if not gone and matches.lines:
            self._go_to_match(matches.lines[-1])
        view.grown()
        self._redraw()

    def action_log_next(self) -> None:
        """Go to the next match."""
        self._step(1)

    def action_log_previous(self) -> None:
        """Go to the previous match."""
        self._step(-1)

    def _step(self, direction: int) -> None:
        view = self.trace_view
        if view.matches is None:
            self.dashboard.notify_user("There are no matches: find text with / first", severity="warning")
            return
        here = view.here if view.here is not None else view.top
        found = view.matches.after(here) if direction > 0 else view.matches.before(here)
        if found is None:
            end = "below" if direction > 0 else "above"
            self.dashboard.notify_user(f"no match for {view.matches.wanted} {end}")
            return
        self._go_to_match(found)

    def _go_to_match(self, line: int | None) -> None:
        if line is not None:
            view = self.trace_view
            self._following = False
            view.here = line
            view.go_to(line, lead=view.page // 3)
            view.refresh()
            self._redraw()

    def action_log_only(self) -> None:
        """Hide the lines that do not match, or show them again."""
        if self.trace_view.matches is None:
            self.dashboard.notify_user("There are no matches: find text with / first", severity="warning")
            return
        self._only = not self._only
        self._apply_only()
        self._redraw()

    def _apply_only(self) -> None:
        view = self.trace_view
        view.show_only(view.matches.lines if self._only and view.matches else None)

    # Drawing

    def action_log_follow(self) -> None:
        """Start or stop following the log."""
        self._following = not self._following
        if self._following:
            self.trace_view.follow()
        self._redraw()

    def action_log_wrap(self) -> None:
        """Wrap or cut long lines."""
        self.trace_view.set_wrap(not self.trace_view.wrapped)
        if self._following:
            self.trace_view.follow()
        self._redraw()

    def action_move_left(self) -> None:
        """Scroll to the left."""
        self.trace_view.move_sideways(-1)

    def action_move_right(self) -> None:
        """Scroll to the right."""
        self.trace_view.move_sideways(1)

    def action_log_older(self) -> None:
        """Show the log of the previous attempt."""
        self._other_attempt(-1)

    def action_log_newer(self) -> None:
        """Show the log of the next attempt."""
        self._other_attempt(1)

    def _other_attempt(self, by: int) -> None:
        numbers = self._numbers
        place = numbers.index(self._attempt) + by if self._attempt in numbers else 0
        if not 0 <= place < len(numbers):
            self.dashboard.notify_user("there is no newer attempt" if by > 0 else "there is no older attempt")
            return
        self._following = True
        self._show_attempt(numbers[place])

    def action_view_back(self) -> None:
        """Clear the search, or close the screen."""
        if self.trace_view.matches is not None:
            self._find("")
        else:
            self.dismiss()

    def _redraw(self) -> None:
        self.query_one("#head", LineView).rebuild()
        self.query_one("#counts", LineView).rebuild()

    def _heading(self, width: int, _height: int) -> list[Line]:
        row = self.current()
        parts: list[Line] = [((plain(self._workspace.name), Tone.TITLE), ("  log", Tone.MUTED))]
        if self._attempt is not None:
            newest = self._numbers[-1] if self._numbers else self._attempt
            of = f" of {newest}" if newest > 1 else ""
            parts.append(((f"attempt #{self._attempt}{of}", Tone.PLAIN),))
        if row is not None:
            phase = row.status.phase
            parts.append(((f"{self.dashboard.glyphs.phases[phase]} {phase}", TONES[phase]),))
        return [shortened(joined(parts), width, self.dashboard.glyphs.ellipsis)]

    def _state(self, width: int, _height: int) -> list[Line]:
        view = self.trace_view
        parts: list[Line] = []
        if view.matches is not None:
            found = len(view.matches.lines)
            more = "+" if self._looking else ""
            what = "shown" if self._only else "match"
            parts.append(
                (
                    (f"/{plain(view.matches.wanted)}", Tone.KEY),
                    (f"  {found}{more} {what}; n N go, & hides the rest, esc clears", Tone.MUTED),
                )
            )
        if self._log_size and view.index.size < self._log_size:
            parts.append(((f"reading, {100 * view.index.size // self._log_size} %", Tone.BUSY),))
        if not self._log_size:
            parts.append(
                (("the log is empty so far" if not self._ended else "the log is empty", Tone.MUTED),)
            )
        else:
            parts.append(((f"{view.index.count} lines", Tone.MUTED),))
        if self._following and not self._ended:
            parts.append((("following", Tone.GOOD),))
        elif self._ended:
            parts.append((("ended", Tone.MUTED),))
        else:
            parts.append((("f follows", Tone.MUTED),))
        if view.wrapped:
            parts.append((("wrapped", Tone.MUTED),))
        return [shortened(joined(parts), width, self.dashboard.glyphs.ellipsis)]
