"""The base of all screens: bindings from the table of actions, and how an action is performed."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, cast

from textual import _time
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen
from textual.worker import Worker

from wsdash.screens.action import Action, ScreenKind
from wsdash.screens.actions import BY_ID, on
from wsdash.screens.availability import Subject
from wsdash.screens.text.glyphs import Glyphs
from wsdash.screens.text.spans import Line
from wsdash.screens.typeahead import TypeAhead, is_input_waiting
from wsdash.screens.widgets.key_bar import KeyBar
from wsdash.screens.widgets.line_view import Announced

if TYPE_CHECKING:
    from wsdash.backend.service import Service
    from wsdash.backend.store.reader import WorkspaceRow
    from wsdash.model import Workspace
    from wsdash.screens.port_notices import PortNotices

Severity = Literal["information", "warning", "error"]
Result = TypeVar("Result")
READ_S = 0.005
"""Bytes that the terminal has sent are usually read within that time."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to the user, kept so that it can be read again."""

    at: float
    severity: Severity
    text: str


View = Literal["detail", "log", "workload"]


class Dashboard(Protocol):
    """The part of the app that screens use."""

    clock: Callable[[], float]
    glyphs: Glyphs
    notifications: list[Notification]
    typed: TypeAhead

    @property
    def service(self) -> Service:
        """The open service. Raises `NotConnected` while it is being opened."""

    @property
    def connected(self) -> bool:
        """Whether the service is open."""

    @property
    def rows(self) -> list[WorkspaceRow]:
        """The workspaces as last read."""

    @property
    def has_all_rows(self) -> bool:
        """Whether `rows` are all that there are; right after the start they are the first screenful."""

    def notify_user(self, text: str, hint: str = "", *, severity: Severity = "information") -> None:
        """Notify the user in a toast, and keep the notification."""

    async def guard(self, work: Coroutine[Any, Any, object]) -> None:
        """Await `work`. An error is notified; an unexpected one also leaves a crash report."""

    def reload(self) -> None:
        """Read the store soon, after an action."""

    def refresh_context(self) -> None:
        """Read the default context again, after the contexts changed."""

    context_label: Line
    """The default context and its isolation."""
    reconciler_status: Line
    """The process that is the reconciler."""
    stale_reason: str
    """The reason why the rows may be out of date; empty if they are current."""

    def open_workspace(self, workspace: Workspace, view: View) -> None:
        """Open a view of a workspace above the current screen."""

    def open_help(self, where: ScreenKind) -> None:
        """Open the page with the keys of a kind of screen."""

    def open_messages(self) -> None:
        """Open the page with the notifications so far."""

    def enter_shell(self, workspace: Workspace) -> None:
        """Lend the terminal to a shell in the workspace, and come back when it ends."""

    def open_in(self, workspace: Workspace, verb: str, *options: str) -> None:
        """Lend the terminal to `wsdash open`, `code` or `ports`, which open something or print how to do it."""

    port_notices: PortNotices
    """The ports that were seen."""


class NotConnected(Exception):
    """The service is not open yet."""

    hint = "Try again in a moment."


def bindings_of(where: ScreenKind) -> list[BindingType]:
    """Return the bindings of one kind of screen, made from the table of actions."""
    return [
        Binding(
            ",".join(action.keys),
            f"perform('{action.id}')",
            action.title,
            show=bool(action.hint),
            tooltip=action.help,
            id=action.id,
        )
        for action in on(where)
        if action.keys
    ]


class Movable(Protocol):
    """A widget that the movement keys move."""

    @property
    def page(self) -> int:
        """The number of lines that are visible at once."""

    def move(self, by: int) -> None:
        """Move by that many lines, upwards if negative."""

    def move_to_end(self, last: bool) -> None:
        """Move to the last or the first line."""


class ActionMixin:
    """Performs actions; mixed into screens and modal screens."""

    WHERE: ClassVar[ScreenKind]
    asked_at = -math.inf
    """Keys that were typed up to then are not for this screen (`TypeAhead`)."""

    @property
    def dashboard(self) -> Dashboard:
        """Return the app, as far as screens use it."""
        return cast(Dashboard, cast(Screen[object], self).app)

    def ask(self, widget: Announced) -> None:
        """Make this screen a question: keys typed before `widget` is painted do not answer it."""
        self.asked_at = math.inf
        widget.when_painted(self._asked)

    def _asked(self) -> None:
        screen = cast(Screen[object], self)
        if is_input_waiting(screen.app):  # keys that were typed before, too
            screen.set_timer(READ_S, self._asked)
        else:
            self.asked_at = _time.get_time()

    def ignore_keys_for(self, seconds: float) -> None:
        """Ignore keys for that long: the user cannot have seen yet that this screen is in front."""
        self.asked_at = _time.get_time() + seconds

    def current(self) -> WorkspaceRow | None:
        """Return the workspace that the screen shows, or that is selected."""
        return None

    def subject(self, action: Action) -> Subject:
        """Return the workspaces that the action would apply to."""
        current = self.current()
        return Subject((current,) if current else (), self.dashboard.connected)

    def movable(self) -> Movable | None:
        """Return the widget that the movement keys move."""
        return None

    def why_not(self, action: Action) -> str | None:
        """Return the reason why the action cannot be done now, or None."""
        return action.available(self.subject(action))

    async def action_perform(self, action_id: str) -> None:
        """Perform an action by its id: the only Textual action, used by keys, palette and clicks."""
        await self.perform(BY_ID[action_id])

    async def perform(self, action: Action) -> None:
        """Run the action, or notify the reason why it is not available."""
        await self.dashboard.guard(self._perform(action))

    async def _perform(self, action: Action) -> None:
        reason = self.why_not(action)
        if reason:
            self.dashboard.notify_user(f"{action.title}: {reason}", severity="warning")
            return
        result = getattr(self, action.method)()
        if result is not None:
            await result

    def spawn(self, work: Coroutine[Any, Any, None], name: str, *, exclusive: bool = False) -> Worker[None]:
        """Run `work` in a worker of the screen, which cancels it when it closes."""
        screen = cast(Screen[object], self)
        return screen.run_worker(
            self.dashboard.guard(work), name=name, group=name, exclusive=exclusive, exit_on_error=False
        )

    def store_changed(self) -> None:
        """Show the rows of the store, which have changed."""

    def refresh_keys(self) -> None:
        """Draw the key bar again, since other actions may be available now."""
        for bar in cast(Screen[object], self).query(KeyBar):
            bar.rebuild()

    # Movement, the same everywhere.
    def action_move_down(self) -> None:
        """Move one line down."""
        self._move(1)

    def action_move_up(self) -> None:
        """Move one line up."""
        self._move(-1)

    def action_move_half_down(self) -> None:
        """Move half a page down."""
        self._move_pages(0.5)

    def action_move_half_up(self) -> None:
        """Move half a page up."""
        self._move_pages(-0.5)

    def action_move_page_down(self) -> None:
        """Move a page down."""
        self._move_pages(1)

    def action_move_page_up(self) -> None:
        """Move a page up."""
        self._move_pages(-1)

    def action_move_top(self) -> None:
        """Move to the first line."""
        self._move_to_end(False)

    def action_move_bottom(self) -> None:
        """Move to the last line."""
        self._move_to_end(True)

    def _move(self, by: int) -> None:
        target = self.movable()
        if target is not None:
            target.move(by)

    def _move_pages(self, pages: float) -> None:
        target = self.movable()
        if target is not None:
            lines = max(1, int(abs(pages) * target.page))
            target.move(lines if pages > 0 else -lines)

    def _move_to_end(self, last: bool) -> None:
        target = self.movable()
        if target is not None:
            target.move_to_end(last)

    # Views that every screen can open.
    def action_view_refresh(self) -> None:
        """Read the store again."""
        self.dashboard.reload()

    def action_app_help(self) -> None:
        """Open the help of this kind of screen."""
        self.dashboard.open_help(self.WHERE)

    def action_app_messages(self) -> None:
        """Open the page of messages."""
        self.dashboard.open_messages()

    def action_app_palette(self) -> None:
        """Open the command palette."""
        cast(Screen[object], self).app.action_command_palette()

    def action_app_theme(self) -> None:
        """Open the choice of themes."""
        cast(Screen[object], self).app.search_themes()

    def action_app_suspend(self) -> None:
        """Suspend the dashboard, as ctrl+z does in a shell."""
        cast(Screen[object], self).app.action_suspend_process()

    def action_app_interrupt(self) -> None:
        """Notify the user how to quit."""
        self.dashboard.notify_user("ctrl+q quits wsdash, q closes a view. Workspaces keep running.")

    async def action_app_quit(self) -> None:
        """Quit the dashboard."""
        cast(Screen[object], self).app.exit()


class WsdashScreen(ActionMixin, Screen[Result], Generic[Result]):
    """A full screen."""

    AUTO_FOCUS = ""

    def action_view_back(self) -> None:
        """Close the screen."""
        self.dismiss()

    async def action_view_close(self) -> None:
        """Close the screen."""
        self.dismiss()


class WsdashDialog(ActionMixin, ModalScreen[Result], Generic[Result]):
    """A dialog above the screen that opened it. Closing it returns None."""

    WHERE = ScreenKind.DIALOG
    BINDINGS = bindings_of(ScreenKind.DIALOG)

    def action_view_back(self) -> None:
        """Close the dialog."""
        self.dismiss()

    def action_view_close(self) -> None:
        """Close the dialog."""
        self.dismiss()
