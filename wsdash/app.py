"""The Textual app: wiring, themes, signals, and what happens when something fails."""

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
from wsdash.screens.session import ServiceOpener, Session
from wsdash.screens.text.glyphs import ASCII, UNICODE
from wsdash.screens.text.rows import ends_ahead
from wsdash.screens.text.spans import Line, Tone, plain
from wsdash.screens.theme import DARK, MONO, THEMES, WithoutColour
from wsdash.screens.typeahead import TypeAhead, Typed
from wsdash.screens.workspaces import WorkspacesScreen

if TYPE_CHECKING:
    from wsdash.backend.service import Service
    from wsdash.backend.store.reader import WorkspaceRow
    from wsdash.model import Workspace

TOAST_S = {"information": 4.0, "warning": 6.0, "error": 10.0}
MAX_NOTIFICATIONS = 500
SLOW_S = 1.0
"""What takes longer to open than that is announced."""


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
        """`read_rows` gives the first rows at an instant, all where no number is given; it blocks.

        The first paint has a screenful of them. The rest is read after it, and `open_service` is called.
        """
        super().__init__(ansi_color=True if no_color else None)
        self.paths = paths
        self.clock = clock
        self.glyphs = ASCII if ascii else UNICODE
        self.notifications: list[Notification] = []
        self._warned: set[tuple[str, float]] = set()
        self.last_words: list[str] = []
        """What went wrong when the screen was already gone."""
        self.shell_process: int | None = None
        self.typed = TypeAhead(self, self._deliver)
        self.set_class(ascii, "-ascii")
        self.animation_level = "none"
        for known in THEMES:
            self.register_theme(known)
        self.no_color = no_color
        if no_color:
            self._filters = [WithoutColour()]
        self.theme = MONO.name if no_color else theme or DARK.name
        self._read_rows = read_rows or (lambda now, first: _rows_in_store(paths, now, first))
        self._exit_code: int | None = None
        self.session = Session(
            open_service or (lambda: _service(paths)),
            changed=self._later_changed,
            failed=self._later_failed,
        )

    # What screens use (see `wsdash.screens.base.Dashboard`).

    @property
    def service(self) -> Service:
        if self.session.service is None:
            raise NotConnected("the store is still being opened")
        return self.session.service

    @property
    def connected(self) -> bool:
        return self.session.service is not None

    @property
    def rows(self) -> list[WorkspaceRow]:
        return self.session.rows

    @property
    def has_all_rows(self) -> bool:
        return self.session.has_all_rows

    @property
    def stale_reason(self) -> str:
        return self.session.stale_reason

    @property
    def context_label(self) -> Line:
        isolation, context = self.session.isolation, self.session.context
        if isolation is None or context is None:
            return ()
        words = {"plain": "plain processes"}.get(isolation, plain(isolation))
        name = (plain(context), Tone.STRONG)
        if self.session.honours_image:
            return (name, (f": {words}", Tone.MUTED))
        return (name, (f": {words}; ", Tone.MUTED), ("the devfile's image is not used", Tone.WARN))

    @property
    def reconciler_status(self) -> Line:
        now = self.session.reconciling
        if now is None:
            if self.stale_reason:
                return (("no reconciler is running", Tone.WARN),)
            return (("opening ...", Tone.MUTED),)
        return {
            "this": (("this dashboard keeps jobs alive", Tone.MUTED),),
            "daemon": ((f"the daemon ({now.pid}) keeps jobs alive", Tone.MUTED),),
            "dashboard": ((f"another dashboard ({now.pid}) keeps jobs alive", Tone.MUTED),),
        }.get(now.by, (("taking over ...", Tone.MUTED),))

    def notify_user(self, text: str, hint: str = "", *, severity: Severity = "information") -> None:
        message = "\n".join(plain(part) for part in (*text.split("\n"), *hint.split("\n")) if part)
        self.notifications = [
            *self.notifications[1 - MAX_NOTIFICATIONS :],
            Notification(self.clock(), severity, message),
        ]
        self.notify(message, severity=severity, timeout=TOAST_S[severity], markup=False)

    async def guard(self, work: Coroutine[Any, Any, object]) -> None:
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
                f"{prefix}something failed in wsdash ({type(error).__name__}).", where, severity="error"
            )

    def reload(self) -> None:
        self.session.reload()

    def refresh_context(self) -> None:
        self.session.refresh_context()

    def open_workspace(self, workspace: Workspace, view: View) -> None:
        # What the first paint does not show is loaded when it is first asked for.
        from wsdash.screens.detail import DetailScreen
        from wsdash.screens.log import LogScreen
        from wsdash.screens.workload_page import WorkloadScreen

        kinds: dict[View, Callable[[Workspace], Screen[None]]]
        kinds = {"detail": DetailScreen, "log": LogScreen, "workload": WorkloadScreen}
        self.push_screen(kinds[view](workspace))

    def open_help(self, where: ScreenKind) -> None:
        from wsdash.screens.help_page import HelpScreen

        self.push_screen(HelpScreen(where, self.glyphs))

    def open_messages(self) -> None:
        from wsdash.screens.notifications import MessagesScreen

        self.push_screen(MessagesScreen())

    def enter_shell(self, workspace: Workspace) -> None:
        self._lend(self._shell(workspace), f"a shell in {workspace.name}")

    def open_editor(self, workspace: Workspace) -> None:
        self._lend(self._editor(workspace), f"the editor of {workspace.name}")

    def _lend(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Lend the terminal. What has been typed ahead was for the other program, which cannot be given it."""

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
        notice = f"a shell in {name}; leave it to come back."
        code = await lend_terminal(self, command.argv, command.env, command.cwd, notice)
        if command.lost_connection(code):
            again = (sys.executable, "-m", "wsdash", "ssh", workspace.id)
            code = await lend_terminal(self, again, os.environ, None, f"the connection to {name} is lost.")
        if code in (126, 127):
            self.notify_user(f"{name}: the shell could not be started (exit {code})", severity="error")
        self._taken_back()

    async def _editor(self, workspace: Workspace) -> None:
        """What `wsdash open` says must be read, and may have to go on, before the dashboard covers it."""
        from wsdash.screens.shell import lend_terminal

        opening = (sys.executable, "-m", "wsdash", "open", workspace.id)
        argv = ("sh", "-c", '"$@"; printf "\\nenter leads back to wsdash. "; read -r _', "sh", *opening)
        await lend_terminal(self, argv, os.environ, None, f"the editor of {workspace.name}")
        self._taken_back()

    def _taken_back(self) -> None:
        self.reload()
        if self._exit_code is not None:
            self.exit(return_code=self._exit_code)

    # Life

    def get_default_screen(self) -> Screen[Any]:
        screenful = shutil.get_terminal_size().lines
        try:
            self.session.rows = self._read_rows(self.clock(), screenful)
            self.session.has_all_rows = len(self.session.rows) < screenful
        except Exception as error:  # the service reports it when it opens, and repairs it where it can
            self.session.stale_reason = f"the store could not be read: {_sentence(error)}"
        return WorkspacesScreen()

    def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, self._resumed)
        if self.has_all_rows:
            self.call_after_refresh(self._connect)
        else:
            rest = self.run_worker(self._read_the_rest(), name="reading the list", exit_on_error=False)
            self.typed.hold(rest)

    def _resumed(self, _app: App[Any]) -> None:
        """Back from ctrl+z: the terminal has forgotten what stood there, and Textual paints only changes."""
        self.screen.refresh()
        self.reload()

    async def on_event(self, event: events.Event) -> None:
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
        """After the first paint. The keyboard waits for it: a key is for the whole list."""
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
        """Once of each."""
        for end in ends_ahead(self.session.rows, self.clock()):
            if end.key not in self._warned:
                self._warned.add(end.key)
                self.notify_user(end.text, end.hint, severity="warning")

    def _later_changed(self) -> None:
        """From the session's tasks, which are not the app's, to the app's own."""
        self.call_later(self._session_changed)

    def _later_failed(self, error: BaseException, what: str) -> None:
        if self.is_running:
            self.call_later(self.notify_error, error, what)
        else:
            self.last_words.append(f"{what}: {_sentence(error)}")

    def leave(self, code: int) -> None:
        """A signal asks us to end: give the terminal back first."""
        if self.shell_process is not None:
            if code == 128 + signal.SIGINT:  # ctrl+c in the shell is the shell's own
                return
            self._exit_code = code
            os.kill(self.shell_process, signal.SIGHUP)
        else:
            self.exit(return_code=code)

    def _fatal_error(self) -> None:
        """Textual's own would print every local variable, and a token may be in one."""
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
    """Show the dashboard until the user leaves it. Returns the exit code."""
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
        app.last_words.append("A daemon keeps your workspaces running (wsdash daemon --status).")
    with suppress(OSError):  # the terminal may be gone
        for words in app.last_words:
            print(f"wsdash: {plain(words)}", file=sys.stderr)
    return app.return_code or 0


def _rows_in_store(paths: Paths, now: float, first: int | None) -> list[WorkspaceRow]:
    from wsdash.backend.store.reader import Reader

    reader = Reader(paths)
    try:
        return reader.workspaces(now, first=first)
    finally:
        reader.close()


@asynccontextmanager
async def _service(paths: Paths) -> AsyncIterator[Service]:
    from wsdash.backend.service import Service

    async with Service.open(paths) as service:
        yield service


def _sentence(error: BaseException) -> str:
    if type(error).__name__ == "NoSuchWorkspace":
        return f"there is no workspace {error} any more"
    return str(error) or type(error).__name__
