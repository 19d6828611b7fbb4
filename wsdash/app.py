"""The Textual app: it connects screens and service, and handles signals and errors."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import App
from textual.binding import BindingType
from textual.command import Provider
from textual.screen import Screen

from wsdash import crash
from wsdash.paths import Paths
from wsdash.screens.action import ScreenKind
from wsdash.screens.actions import BY_ID
from wsdash.screens.base import NotConnected, Notification, Severity, View
from wsdash.screens.port_notices import PortNotices
from wsdash.screens.session import ServiceOpener, Session, rows_in_store
from wsdash.screens.text import header
from wsdash.screens.text.glyphs import ASCII, UNICODE
from wsdash.screens.text.rows import ends_ahead
from wsdash.screens.text.spans import Line, plain
from wsdash.screens.theme import DARK, MONO, THEMES, WithoutColour
from wsdash.screens.typeahead import TypeAhead, Typed
from wsdash.screens.workspaces import WorkspacesScreen

if TYPE_CHECKING:
    from wsdash.backend.service import Service
    from wsdash.backend.store.reader import WorkspaceRow
    from wsdash.backend.system.terminal import TerminalProgram
    from wsdash.model import Workspace

TOAST_S = {"information": 4.0, "warning": 6.0, "error": 10.0}
MAX_NOTIFICATIONS = 500
SLOW_S = 1.0
"""A program that takes longer to open is announced."""


def _palette() -> type[Provider]:
    from wsdash.screens.palette import EverythingProvider

    return EverythingProvider


class WsdashApp(App[None], inherit_bindings=False):
    """Paints the last stored state, then opens the service; the screens do the rest."""

    TITLE = "wsdash"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_palette}
    COMMAND_PALETTE_BINDING = BY_ID["app.palette"].keys[-1]
    BINDINGS: ClassVar[list[BindingType]] = []
    ALLOW_SELECT = False

    def __init__(
        self,
        paths: Paths,
        *,
        clock: Callable[[], float] = time.time,
        open_service: ServiceOpener | None = None,
        read_rows: Callable[[float, int | None], list[WorkspaceRow]] | None = None,
        ascii: bool = False,  # noqa: A002
        theme: str | None = None,
        no_color: bool = False,
    ) -> None:
        """Take the paths and, for tests, other sources of time, rows and the service.

        `read_rows` returns the first rows at an instant, or all if the number is None; it blocks. The first paint has a
        screenful of rows. After it the others are read, and `open_service` is called.
        """
        super().__init__(ansi_color=True if no_color else None)
        self.paths = paths
        self.clock = clock
        self.glyphs = ASCII if ascii else UNICODE
        self.notifications: list[Notification] = []
        self._warned: set[tuple[str, float]] = set()
        self.last_words: list[str] = []
        """Errors after the screen was closed, printed on standard error."""
        self.program: TerminalProgram | None = None
        self.port_notices = PortNotices()
        self.typed = TypeAhead(self, self._deliver)
        self.set_class(ascii, "-ascii")
        self.animation_level = "none"
        for known in THEMES:
            self.register_theme(known)
        self.no_color = no_color
        if no_color:
            self._filters = [WithoutColour()]
        self.theme = MONO.name if no_color else theme or DARK.name
        self._read_rows = read_rows or (lambda now, first: rows_in_store(paths, now, first))
        self._exit_code: int | None = None
        self.session = Session(
            open_service or (lambda: _service(paths)),
            changed=self._later_changed,
            failed=self._later_failed,
        )

    @property
    def service(self) -> Service:
        """Return the open service. Raises `NotConnected` while it is being opened."""
        if self.session.service is None:
            raise NotConnected("the store is still being opened")
        return self.session.service

    @property
    def connected(self) -> bool:
        """Whether the service is open."""
        return self.session.service is not None

    @property
    def rows(self) -> list[WorkspaceRow]:
        """Return the workspaces as last read."""
        return self.session.rows

    @property
    def has_all_rows(self) -> bool:
        """Whether `rows` has all workspaces, not only the first screenful."""
        return self.session.has_all_rows

    @property
    def stale_reason(self) -> str:
        """Return why the rows may be out of date; empty if they are current."""
        return self.session.stale_reason

    @property
    def context_label(self) -> Line:
        """Return the default context and its isolation, for the header."""
        session = self.session
        return header.context_label(session.context, session.isolation, honours_image=session.honours_image)

    @property
    def reconciler_status(self) -> Line:
        """Return which process is the reconciler, for the header."""
        return header.reconciler_status(self.session.reconciling, is_stale=bool(self.stale_reason))

    def notify_user(self, text: str, hint: str = "", *, severity: Severity = "information") -> None:
        """Show a toast, and keep the notification for the page of messages."""
        message = "\n".join(plain(part) for part in (*text.split("\n"), *hint.split("\n")) if part)
        self.notifications = [
            *self.notifications[1 - MAX_NOTIFICATIONS :],
            Notification(self.clock(), severity, message),
        ]
        self.notify(message, severity=severity, timeout=TOAST_S[severity], markup=False)

    async def guard(self, work: Coroutine[Any, Any, object]) -> None:
        """Await `work`, and notify the user of an error."""
        try:
            await work
        except Exception as error:
            self.notify_error(error, "")

    def notify_error(self, error: BaseException, what: str) -> None:
        """Show an expected error with its hint; an unexpected one also leaves a crash report."""
        hint = getattr(error, "hint", None)
        prefix = f"{what}: " if what else ""
        if isinstance(hint, str):
            self.notify_user(f"{prefix}{error}", hint, severity="error")
        elif type(error).__module__.startswith("wsdash."):
            self.notify_user(f"{prefix}{_sentence(error)}", severity="error")
        else:
            path = crash.report(error, self.paths.crash_reports, self.clock())
            where = f"The report is in {path}." if path else ""
            self.notify_user(
                f"{prefix}unexpected error in wsdash ({type(error).__name__}).", where, severity="error"
            )

    def reload(self) -> None:
        """Read the store soon."""
        self.session.reload()

    def refresh_context(self) -> None:
        """Read the default context again."""
        self.session.refresh_context()

    def open_workspace(self, workspace: Workspace, view: View) -> None:
        """Open a view of a workspace. Views are imported when they are first opened."""
        # Imported here because the first paint does not need them.
        from wsdash.screens.detail import DetailScreen
        from wsdash.screens.log import LogScreen
        from wsdash.screens.workload_page import WorkloadScreen

        kinds: dict[View, Callable[[Workspace], Screen[None]]]
        kinds = {"detail": DetailScreen, "log": LogScreen, "workload": WorkloadScreen}
        self.push_screen(kinds[view](workspace))

    def open_help(self, where: ScreenKind) -> None:
        """Open the keys of a kind of screen."""
        from wsdash.screens.help_page import HelpScreen

        self.push_screen(HelpScreen(where, self.glyphs))

    def open_messages(self) -> None:
        """Open the notifications so far."""
        from wsdash.screens.notifications import MessagesScreen

        self.push_screen(MessagesScreen())

    def enter_shell(self, workspace: Workspace) -> None:
        """Lend the terminal to a shell in the workspace."""
        self._lend(self._shell(workspace), f"a shell in {workspace.name}")

    def open_in(self, workspace: Workspace, verb: str, *options: str) -> None:
        """Lend the terminal to `wsdash open`, `code` or `ports`."""
        self._lend(self._open(workspace, verb, *options), f"wsdash {verb} {workspace.name}")

    def _lend(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Lend the terminal to another program. Keys typed before it starts are dropped: it cannot get them."""

        async def lent() -> None:
            slow = self.set_timer(SLOW_S, lambda: self.notify_user(f"opening {what} ... esc stops it"))
            with self.typed.dropped(worker.cancel):
                await self.guard(work)
            slow.stop()

        worker = self.run_worker(lent(), name=what, group="lent", exclusive=True, exit_on_error=False)

    async def _shell(self, workspace: Workspace) -> None:
        from wsdash.screens.shell import lend_terminal

        name = workspace.name
        command = await self.service.access.shell(workspace.id)
        notice = f"a shell in {name}; exit it to come back."
        code = await lend_terminal(self, command.argv, command.env, command.cwd, notice)
        if command.lost_connection(code):
            again = (sys.executable, "-m", "wsdash", "ssh", workspace.id)
            code = await lend_terminal(self, again, os.environ, None, f"the connection to {name} is lost.")
        if code in (126, 127):
            self.notify_user(f"{name}: the shell could not be started (exit {code})", severity="error")
        self._taken_back()

    async def _open(self, workspace: Workspace, verb: str, *options: str) -> None:
        """Run the verb, and wait for enter, so that its output can be read before the dashboard covers it."""
        from wsdash.screens.shell import lend_terminal

        opening = (sys.executable, "-m", "wsdash", verb, workspace.id, *options)
        argv = ("sh", "-c", '"$@"; printf "\\npress enter to return to wsdash. "; read -r _', "sh", *opening)
        await lend_terminal(self, argv, os.environ, None, f"{verb} {workspace.name}; ctrl+c ends it.")
        self._taken_back()

    def _taken_back(self) -> None:
        self.reload()
        if self._exit_code is not None:
            self.exit(return_code=self._exit_code)

    # Life

    def get_default_screen(self) -> Screen[Any]:
        """Return the list, with a screenful of rows from the store."""
        screenful = shutil.get_terminal_size().lines
        try:
            self.session.rows = self._read_rows(self.clock(), screenful)
            self.session.has_all_rows = len(self.session.rows) < screenful
        except Exception as error:  # the service reports it when it opens, and repairs it where it can
            self.session.stale_reason = f"the store could not be read: {_sentence(error)}"
        return WorkspacesScreen()

    def on_mount(self) -> None:
        """Open the service after the first paint, and read the rows that are missing."""
        self.app_resume_signal.subscribe(self, self._resumed)
        if self.has_all_rows:
            self.call_after_refresh(self._connect)
        else:
            rest = self.run_worker(self._read_the_rest(), name="reading the list", exit_on_error=False)
            self.typed.hold(rest)

    def _resumed(self, _app: App[Any]) -> None:
        """Repaint everything after ctrl+z: the terminal was cleared, and Textual paints only changes."""
        self.screen.refresh()
        self.reload()

    async def on_event(self, event: events.Event) -> None:
        """Pass keys and pasted text through `TypeAhead`, which delivers them in order."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self.typed.take(event)
        else:
            await super().on_event(event)

    async def _deliver(self, event: Typed) -> None:
        await super().on_event(event)

    def _connect(self) -> None:
        self.session.start()
        if self.paths.notice:
            self.notify_user(self.paths.notice, severity="warning")

    async def _read_the_rest(self) -> None:
        """Read all rows after the first paint. Keys wait for it, since they apply to the whole list."""
        painted = asyncio.Event()
        self.call_after_refresh(painted.set)
        await painted.wait()
        try:
            rows = await asyncio.to_thread(self._read_rows, self.clock(), None)
            self.session.rows, self.session.has_all_rows = rows, True
            self._session_changed()
        finally:
            self._connect()

    def _session_changed(self) -> None:
        if self.session.service is not None:
            while self.session.service.notices:
                self.notify_user(self.session.service.notices.pop(0), severity="warning")
        self._warn_of_ends()
        for screen in self.screen_stack:
            changed = getattr(screen, "store_changed", None)
            if changed is not None and screen.is_mounted:
                changed()

    def _warn_of_ends(self) -> None:
        """Warn once of each autostop and autodelete that comes soon."""
        for end in ends_ahead(self.session.rows, self.clock()):
            if end.key not in self._warned:
                self._warned.add(end.key)
                self.notify_user(end.text, end.hint, severity="warning")

    def _later_changed(self) -> None:
        """Call `_session_changed` in the app's task, from one of the session's tasks."""
        self.call_later(self._session_changed)

    def _later_failed(self, error: BaseException, what: str) -> None:
        if self.is_running:
            self.call_later(self.notify_error, error, what)
        else:
            self.last_words.append(f"{what}: {_sentence(error)}")

    def leave(self, code: int) -> None:
        """Exit because of a signal: end the program that has the terminal first."""
        if self.program is not None:
            if code == 128 + signal.SIGINT:  # ctrl+c in the shell is the shell's own
                return
            self._exit_code = code
            self.program.hang_up()
        else:
            self.exit(return_code=code)

    def terminal_gone(self) -> None:
        """Exit once the program that had the terminal has ended, if no signal said so before."""
        self._exit_code = self._exit_code or 128 + signal.SIGHUP

    def _fatal_error(self) -> None:
        """Write a crash report. Textual would print local variables, which may hold a token."""
        error = sys.exc_info()[1] or self._exception or RuntimeError("unknown")
        path = crash.report(error, self.paths.crash_reports, self.clock())
        self._exit_renderables.append(Text(crash.words(error, path)))
        self._close_messages_no_wait()


def run(
    paths: Paths,
    *,
    ascii: bool = False,  # noqa: A002
    mouse: bool | None = None,
    theme: str | None = None,
) -> int:
    """Run the dashboard until the user quits. Returns the exit code."""
    if mouse is None:  # over SSH each movement would be bytes, and the terminal's own selection is missed
        mouse = not os.environ.get("SSH_CONNECTION")
    return asyncio.run(_run(paths, only_ascii=ascii, mouse=mouse, theme=theme))


async def _run(paths: Paths, *, only_ascii: bool, mouse: bool, theme: str | None) -> int:
    app = WsdashApp(paths, ascii=only_ascii, theme=theme, no_color=bool(os.environ.get("NO_COLOR")))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        loop.add_signal_handler(number, app.leave, 128 + number)
    try:
        await app.run_async(mouse=mouse)
    finally:
        await app.session.close()
    if app.session.handed_over:
        app.last_words.append("The reconciler is a daemon now (wsdash daemon --status).")
    with suppress(OSError):  # the terminal may be gone
        for words in app.last_words:
            print(f"wsdash: {plain(words)}", file=sys.stderr)
    return app.return_code or 0


@asynccontextmanager
async def _service(paths: Paths) -> AsyncIterator[Service]:
    from wsdash.backend.service import Service

    async with Service.open(paths) as service:
        yield service


def _sentence(error: BaseException) -> str:
    if type(error).__name__ == "NoSuchWorkspace":
        return f"there is no workspace {error} any more"
    return str(error) or type(error).__name__
