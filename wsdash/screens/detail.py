"""The screen of one workspace: the reason of its phase, facts, steps, attempts and events."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Container

from wsdash.backend.job.log_text import Unstamped, last_words
from wsdash.screens.action import ScreenKind
from wsdash.screens.base import WsdashScreen, bindings_of
from wsdash.screens.text.detail import now_lines, timeline
from wsdash.screens.text.glyphs import TONES
from wsdash.screens.text.rows import row_of, up_words
from wsdash.screens.text.spans import Line, Tone, joined, plain
from wsdash.screens.widgets.key_bar import KeyBar
from wsdash.screens.widgets.line_view import LineScroll, LineView
from wsdash.screens.workspace_actions import WorkspaceActionsMixin

if TYPE_CHECKING:
    from wsdash.backend.job.ports import Ports
    from wsdash.backend.store.reader import WorkspaceDetail, WorkspaceRow
    from wsdash.model import StepResult, Workspace

STEP_LOG = 4096
STEP_LINES = 5
PORTS_S = 10.0
"""The interval in which the job is asked for its ports while the screen is open."""


class DetailScreen(WorkspaceActionsMixin, WsdashScreen[None]):
    """Two parts that scroll: the current state and the timeline."""

    WHERE: ClassVar[ScreenKind] = ScreenKind.DETAIL
    BINDINGS = bindings_of(ScreenKind.DETAIL)
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._detail: WorkspaceDetail | None = None
        self._step_logs: dict[tuple[int, int], list[str]] = {}
        self._ports: Ports | None = None

    def compose(self) -> ComposeResult:
        """Yield heading, both parts and the key bar."""
        yield LineView(self._heading, id="head")
        with Container(id="halves"):
            yield LineScroll(self._now, id="now")
            yield LineScroll(self._timeline, id="timeline")
        yield KeyBar(self.WHERE, self.why_not)

    def on_mount(self) -> None:
        """Read everything once, and the ports every `PORTS_S`."""
        self.query_one("#now", LineScroll).border_title = "Now"
        self.query_one("#timeline", LineScroll).border_title = "Timeline, newest first"
        self.query_one("#now", LineScroll).focus()
        self.spawn(self._read(), "detail", exclusive=True)
        self.spawn(self._read_ports(), "ports", exclusive=True)
        self.spawn(self.dashboard.service.work.look_again(self._workspace.id), "unsaved work")
        self.set_interval(PORTS_S, lambda: self.spawn(self._read_ports(), "ports", exclusive=True))

    def movable(self) -> LineScroll:
        """Return the part that has the focus."""
        return self.focused if isinstance(self.focused, LineScroll) else self.query_one("#now", LineScroll)

    def current(self) -> WorkspaceRow | None:
        """Return the workspace's row."""
        return row_of(self.dashboard.rows, self._workspace.id)

    def store_changed(self) -> None:
        """Read the workspace again, or close the screen if it is gone."""
        if not self.left_if_gone(self._workspace.name):
            self.spawn(self._read(), "detail", exclusive=True)

    def action_view_pane(self) -> None:
        """Focus the other part."""
        self.focus_next(LineScroll)

    async def _read(self) -> None:
        self._detail = await self.dashboard.service.queries.detail(self._workspace.id)
        self._redraw()
        newest = self._detail.attempts[0] if self._detail.attempts else None
        if newest is None or newest.last_observation is None:
            return
        for place, step in enumerate(newest.last_observation.steps):
            key = (newest.number, place)
            if step.failed and step.log_end is not None and key not in self._step_logs:
                self._step_logs[key] = await self._last_lines(newest.number, step)
                self._redraw()

    async def _read_ports(self) -> None:
        """Ask the job for its ports, which change without a change in the store."""
        ports = await self.ports_of(self._workspace)
        if ports != self._ports:
            self._ports = ports
            self._redraw()

    async def _last_lines(self, number: int, step: StepResult) -> list[str]:
        """Return the last lines of the step's output."""
        start, end = step.log_start or 0, step.log_end or 0
        start = max(start, end - STEP_LOG)
        chunk = await self.dashboard.service.queries.read_log(
            self._workspace.id, attempt=number, offset=start, limit=max(0, end - start)
        )
        words = last_words(Unstamped(chunk.data).text, own_error=True, most=STEP_LINES)
        return [plain(line) for line in words.split("\n") if line]

    def _redraw(self) -> None:
        self.query_one("#head", LineView).rebuild()
        for half in self.query(LineScroll):
            half.rebuild()
        self.refresh_keys()

    def _heading(self, width: int, _height: int) -> list[Line]:
        row = self.current()
        parts: list[Line] = [((plain(self._workspace.name), Tone.TITLE),)]
        if row is not None:
            phase = row.status.phase
            parts.append(((f"{self.dashboard.glyphs.phases[phase]} {phase}", TONES[phase]),))
            parts.append(((up_words(row, self.dashboard.clock()), Tone.MUTED),))
        return [joined(parts)]

    def _now(self, width: int, _height: int) -> list[Line]:
        if self._detail is None:
            return [(("reading ...", Tone.MUTED),)]
        place = "".join(text for text, _ in self.dashboard.context_label)
        return now_lines(
            self._detail,
            self._step_logs,
            self._ports,
            place,
            self.dashboard.clock(),
            width,
            self.dashboard.glyphs,
        )

    def _timeline(self, width: int, _height: int) -> list[Line]:
        if self._detail is None:
            return []
        return timeline(self._detail.events, self.dashboard.clock(), width)
