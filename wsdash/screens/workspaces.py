"""The main screen: the list of workspaces, and a summary of the selected one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Horizontal
from textual.timer import Timer

from wsdash.backend.errors import WsdashError
from wsdash.model import Phase
from wsdash.screens.action import Action, ScreenKind
from wsdash.screens.actions import BY_ID, available_actions
from wsdash.screens.availability import Subject
from wsdash.screens.base import WsdashScreen, bindings_of
from wsdash.screens.text.rows import count_words, matches, next_age_change, row_view
from wsdash.screens.text.spans import Line, Tone, joined, plain, shortened, width_of
from wsdash.screens.text.summary import summary
from wsdash.screens.widgets.key_bar import KeyBar
from wsdash.screens.widgets.line_view import LineView
from wsdash.screens.widgets.workspace_table import WorkspaceTable, header
from wsdash.screens.workspace_actions import WorkspaceActionsMixin

if TYPE_CHECKING:
    from wsdash.backend.store.reader import WorkspaceRow
    from wsdash.model import Workspace
    from wsdash.screens.widgets.find_input import FindInput

PORTS_S = 10.0
RUNS = frozenset({Phase.RUNNING, Phase.UNHEALTHY})
EMPTY: tuple[Line, ...] = (
    (("No workspaces yet.", Tone.TITLE),),
    (),
    (("A workspace is a job that clones a repository, runs the setup of its", Tone.PLAIN),),
    (("devfile, and keeps running so that you can work in it.", Tone.PLAIN),),
    (("wsdash restarts the job when it ends, also after you quit.", Tone.PLAIN),),
    (),
    (("Press ", Tone.PLAIN), ("a", Tone.KEY), (" to create the first one.", Tone.PLAIN)),
    (("Press ", Tone.PLAIN), ("c", Tone.KEY), (" to run workspaces on a GitLab.", Tone.PLAIN)),
    (("Press ", Tone.PLAIN), ("?", Tone.KEY), (" for all keys.", Tone.PLAIN)),
)


class WorkspacesScreen(WorkspaceActionsMixin, WsdashScreen[None]):
    """The first screen of the dashboard."""

    WHERE: ClassVar[ScreenKind] = ScreenKind.LIST
    BINDINGS = bindings_of(ScreenKind.LIST)
    AUTO_FOCUS = "WorkspaceTable"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (140, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-bare"), (4, "-flat"), (8, "-low"), (16, "-shorter"), (20, "-short"), (30, "-tall"),
    ]  # fmt: skip
    """The list keeps its rows in low terminals: the summary goes first, then the header, last the footer."""

    def __init__(self) -> None:
        super().__init__()
        self._filter = ""
        self._draft: dict[str, str] = {}
        self._marked: frozenset[str] = frozenset()
        self._shown: list[WorkspaceRow] = []
        self._age_timer: Timer | None = None
        self._wanted_selection: str | None = None

    def compose(self) -> ComposeResult:
        """Yield header, list, summary and key bar."""
        with Container(id="head"):
            yield LineView(self._context_line, id="place")
        with Horizontal(id="state"):
            yield LineView(self._state, id="counts")
        with Container(id="body"):
            with Container(id="list"):
                yield LineView(lambda width, _: [header(width - 1)], id="columns", margin=0)
                yield WorkspaceTable(self.dashboard.glyphs)
            yield LineView(self._summary, id="summary")
        yield KeyBar(self.WHERE, self.why_not)

    def on_mount(self) -> None:
        """Show the rows, and look for new ports of the selected workspace every `PORTS_S`."""
        self.show_rows()
        self.set_interval(PORTS_S, self.look_for_ports)

    def look_for_ports(self) -> None:
        """Ask the selected workspace for its ports, if it runs and no other screen is open."""
        row = self.selected
        if self.is_current and self.dashboard.connected and row and row.status.phase in RUNS:
            self.spawn(self._offer_ports(row.workspace), "ports", exclusive=True)

    async def _offer_ports(self, workspace: Workspace) -> None:
        with suppress(WsdashError):  # such as a workspace that was deleted meanwhile
            await self.ports_of(workspace)

    @property
    def table(self) -> WorkspaceTable:
        """Return the list."""
        return self.query_one(WorkspaceTable)

    def movable(self) -> WorkspaceTable:
        """Return the list."""
        return self.table

    @property
    def selected(self) -> WorkspaceRow | None:
        """Return the workspace under the cursor."""
        key = self.table.selected
        return next((row for row in self._shown if row.workspace.id == key), None)

    def current(self) -> WorkspaceRow | None:
        """Return the workspace under the cursor."""
        return self.selected

    def subject(self, action: Action) -> Subject:
        """Return the marked workspaces for a `bulk` action, else the selected one."""
        if action.bulk and self._marked:
            marked = tuple(row for row in self._shown if row.workspace.id in self._marked)
            if marked:
                return Subject(marked, self.dashboard.connected)
        return super().subject(action)

    def action_started(self, rows: Sequence[WorkspaceRow]) -> None:
        """Remove the marks: they are for one action."""
        self._marked -= {row.workspace.id for row in rows}
        self.table.set_marked(self._marked)
        self._redraw()

    def store_changed(self) -> None:
        """Show the rows."""
        self.show_rows()

    def show_rows(self) -> None:
        """Show the app's rows, filtered. Only changed rows are painted."""
        rows = self.dashboard.rows
        now = self.dashboard.clock()
        known = {row.workspace.id for row in rows}
        self._marked &= known
        self._shown = [row for row in rows if matches(row, self._filter)] if self._filter else list(rows)
        views = [row_view(row, now, self.dashboard.glyphs) for row in self._shown]
        self.table.set_marked(self._marked)
        self.table.set_rows(views, self._empty())
        if self._wanted_selection in known:
            self.table.select(self._wanted_selection or "")
            self._wanted_selection = None
        self._redraw()
        self._wait_for_age(now)

    def select(self, workspace_id: str) -> None:
        """Put the cursor on a workspace, now or as soon as it is in the list."""
        self._wanted_selection = workspace_id
        self.show_rows()

    # Drawing

    def _redraw(self) -> None:
        self.query_one("#place", LineView).rebuild()
        self.query_one("#counts", LineView).rebuild()
        self.query_one("#summary", LineView).rebuild()
        self.refresh_keys()

    def _empty(self) -> Sequence[Line]:
        if self._shown:
            return ()
        if self._filter:
            return (
                ((f"Nothing matches {plain(self._filter)}.", Tone.PLAIN),),
                (("esc", Tone.KEY), (" shows all again.", Tone.PLAIN)),
            )
        return EMPTY

    def _context_line(self, width: int, _height: int) -> list[Line]:
        dashboard = self.dashboard
        left: Line = (("wsdash", Tone.TITLE), ("  ", Tone.MUTED), *dashboard.context_label)
        right = dashboard.reconciler_status
        if width_of(left) + width_of(right) + 2 > width:  # narrow: the same in fewer words
            left = tuple((text.replace("the devfile's image is", "image"), tone) for text, tone in left)
        gap = width - width_of(left) - width_of(right)
        return [(*left, (" " * max(2, gap), Tone.MUTED), *right)]

    def _state(self, width: int, _height: int) -> list[Line]:
        parts: list[Line] = []
        if self._filter:
            parts.append(
                (
                    (f"/{plain(self._filter)}", Tone.KEY),
                    (f"  {len(self._shown)} shown, esc shows all", Tone.MUTED),
                )
            )
        if self._marked:
            parts.append(self._marked_words())
        if self.dashboard.stale_reason:
            parts.append(((plain(self.dashboard.stale_reason), Tone.BAD),))
        if self.dashboard.has_all_rows:
            parts.append(count_words(self.dashboard.rows))
        else:
            parts.append((("reading the list ...", Tone.MUTED),))
        return [shortened(joined(parts), width, self.dashboard.glyphs.ellipsis)]

    def _marked_words(self) -> Line:
        """Return the number of marks, and of those that the filter hides, which no action reaches."""
        hidden = len(self._marked - {row.workspace.id for row in self._shown})
        text = f"{len(self._marked)} marked" + (f", {hidden} of them hidden and left alone" if hidden else "")
        return ((text, Tone.KEY), (", esc unmarks", Tone.MUTED))

    def _summary(self, width: int, height: int) -> list[Line]:
        row = self.selected
        if row is None:
            return []
        keys = [
            action
            for action in available_actions(self.WHERE, Subject((row,), self.dashboard.connected))
            if action.id != "workspace.workload"
        ]
        return summary(row, keys, self.dashboard.clock(), width, height, self.dashboard.glyphs)

    def _wait_for_age(self, now: float) -> None:
        """Start one timer, for the moment at which the first shown age changes."""
        if self._age_timer is not None:
            self._age_timer.stop()
            self._age_timer = None
        if self._shown:
            shown = [row.workspace.created_at for row in self._shown]
            shown += [row.saved.at for row in self._shown if row.saved and row.saved.at is not None]
            soonest = min(next_age_change(now - at) for at in shown)
            self._age_timer = self.set_timer(max(10.0, soonest), self.show_rows)

    @on(WorkspaceTable.Selected)
    def _on_selected(self) -> None:
        self.query_one("#summary", LineView).rebuild()
        self.refresh_keys()

    @on(WorkspaceTable.Opened)
    async def _on_opened(self) -> None:
        await self.perform(BY_ID["workspace.open"])

    # Actions

    def action_workspace_create(self) -> None:
        """Open the form for a new workspace."""
        from wsdash.screens.create_form import CreateScreen, repository_here

        if not self._draft:
            self._draft["source"] = repository_here() or ""
        self.app.push_screen(CreateScreen(self._draft), self._created)

    def _created(self, workspace_id: str | None) -> None:
        if workspace_id is not None:
            self.show_created(workspace_id)

    def show_created(self, workspace_id: str) -> None:
        """Select a workspace that has just been created."""
        self._filter = ""
        self.select(workspace_id)
        self.dashboard.reload()

    def action_app_contexts(self) -> None:
        """Open the contexts."""
        from wsdash.screens.contexts import ContextsScreen

        self.app.push_screen(ContextsScreen())

    def action_list_mark(self) -> None:
        """Mark or unmark the selected workspace, and move down."""
        row = self.selected
        if row is not None:
            self._marked ^= {row.workspace.id}
            self.table.set_marked(self._marked)
            self.table.move(1)
            self._redraw()

    def action_list_mark_all(self) -> None:
        """Mark all shown workspaces, or unmark them if all are marked."""
        shown = frozenset(row.workspace.id for row in self._shown)
        self._marked = self._marked - shown if shown <= self._marked else self._marked | shown
        self.table.set_marked(self._marked)
        self._redraw()

    async def action_view_find(self) -> None:
        """Open the filter."""
        from wsdash.screens.widgets.find_input import FindInput

        line = self.query_one("#state", Horizontal)
        if not line.query(FindInput):
            await line.mount(FindInput(self._filter), before=0)
        line.query_one(FindInput).focus()

    def on_find_input_typed(self, message: FindInput.Typed) -> None:
        """Filter the list as the user types."""
        self._filter = message.words
        self.show_rows()

    async def on_find_input_left(self, message: FindInput.Left) -> None:
        """Close the line of the filter, and keep its words."""
        self._filter = message.words
        await message.control.remove()
        self.table.focus()
        self.show_rows()

    def action_view_back(self) -> None:
        """Clear the filter, else the marks."""
        if self._filter:
            self._filter = ""
        elif self._marked:
            self._marked = frozenset()
        else:
            self.dashboard.notify_user("q quits wsdash; workspaces keep running.")
            return
        self.show_rows()

    async def action_view_close(self) -> None:
        """Quit the dashboard."""
        await self.action_app_quit()
