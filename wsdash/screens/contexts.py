"""The screen of contexts: the places where workspaces run, and the default for new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from wsdash.screens.action import ScreenKind
from wsdash.screens.base import WsdashScreen, bindings_of
from wsdash.screens.text.spans import Line, Tone, fit, plain
from wsdash.screens.widgets.key_bar import KeyBar
from wsdash.screens.widgets.line_view import LineView

if TYPE_CHECKING:
    from wsdash.config.settings import Config, Context


class ContextList(OptionList, inherit_bindings=False):
    """One line for each context."""

    @property
    def page(self) -> int:
        """Return the number of lines that are visible at once."""
        return max(1, self.scrollable_content_region.height)

    def move(self, by: int) -> None:
        """Move the cursor by some lines."""
        last = self.option_count - 1
        self.highlighted = max(0, min((self.highlighted or 0) + by, last)) if last >= 0 else None

    def move_to_end(self, last: bool) -> None:
        """Move the cursor to the last or the first line."""
        self.move(self.option_count if last else -self.option_count)


class ContextsScreen(WsdashScreen[None]):
    """Lists the contexts, to add, change and remove them and to choose the default."""

    WHERE: ClassVar[ScreenKind] = ScreenKind.CONTEXTS
    BINDINGS = bindings_of(ScreenKind.CONTEXTS)

    def __init__(self) -> None:
        super().__init__()
        self._config: Config | None = None

    def compose(self) -> ComposeResult:
        """Yield heading, list and key bar."""
        yield LineView(lambda _width, _height: [self._heading()], id="head")
        yield LineView(self._columns, id="columns", margin=0)
        yield ContextList(id="contexts")
        yield LineView(lambda _width, _height: [self._below()], id="below")
        yield KeyBar(self.WHERE, self.why_not)

    def on_mount(self) -> None:
        """Focus the list, and read the contexts."""
        self.query_one(ContextList).focus()
        self.spawn(self._read(), "contexts", exclusive=True)

    def movable(self) -> ContextList:
        """Return the list."""
        return self.query_one(ContextList)

    @property
    def selected(self) -> Context | None:
        """Return the context under the cursor."""
        place = self.query_one(ContextList).highlighted
        if self._config is None or place is None:
            return None
        return list(self._config.contexts.values())[place]

    # Actions

    def action_view_refresh(self) -> None:
        """Read the contexts again."""
        self.spawn(self._read(), "contexts", exclusive=True)

    def action_context_add(self) -> None:
        """Open an empty form."""
        self._open_form({})

    def action_context_change(self) -> None:
        """Open the form with the selected context."""
        from wsdash.screens.context_form import draft_of

        context = self.selected
        if context is not None and context.gitlab is None:
            self.dashboard.notify_user(
                f"{context.name} is this machine: there is nothing to change", severity="warning"
            )
        elif context is not None:
            self._open_form(draft_of(context))

    def action_context_use(self) -> None:
        """Make the selected context the default."""
        context = self.selected
        if context is not None:
            self.spawn(self._use(context.name), "use")

    def action_context_remove(self) -> None:
        """Remove the selected context, after asking."""
        from wsdash.screens.confirm import ConfirmScreen

        context = self.selected
        if context is None:
            return
        name = context.name

        def answered(yes: bool | None) -> None:
            if yes:
                self.spawn(self._remove(name), "remove")

        consequence = (
            "Its settings are removed, and its token if no other context uses it. GitLab is not changed."
        )
        self.app.push_screen(ConfirmScreen("Remove", {name: name}, consequence), answered)

    def _open_form(self, draft: dict[str, str]) -> None:
        from wsdash.screens.context_form import ConnectScreen

        def added(name: str | None) -> None:
            if name is not None:
                self.spawn(self._read(name), "contexts", exclusive=True)

        self.app.push_screen(ConnectScreen(draft), added)

    async def _use(self, name: str) -> None:
        await self.dashboard.service.contexts.use_context(name)
        self.dashboard.notify_user(f"new workspaces are created in {name}")
        await self._read()

    async def _remove(self, name: str) -> None:
        default = await self.dashboard.service.contexts.remove_context(name)
        self.dashboard.notify_user(f"the context {name} is removed; new workspaces are created in {default}")
        await self._read()

    async def _read(self, select: str | None = None) -> None:
        before = select or (self.selected.name if self.selected else None)
        self._config = await self.dashboard.service.contexts.config()
        listed = self.query_one(ContextList)
        listed.clear_options()
        listed.add_options([Option(Text(self._text(c))) for c in self._config.contexts.values()])
        names = list(self._config.contexts)
        listed.highlighted = names.index(before) if before in names else 0
        self.dashboard.refresh_context()
        self.query_one("#below", LineView).rebuild()

    @on(OptionList.OptionHighlighted)
    def _moved(self) -> None:
        self.query_one("#below", LineView).rebuild()

    # Drawing

    def _heading(self) -> Line:
        return (("Contexts", Tone.TITLE), ("  where workspaces run", Tone.MUTED))

    def _columns(self, _width: int, _height: int) -> list[Line]:
        return [((f"   {fit('NAME', 16)}  {fit('DEFAULT', 7)}  WHERE", Tone.MUTED),)]

    def _text(self, context: Context) -> str:
        default = "yes" if self._config is not None and context.name == self._config.default_context else ""
        where = "this machine"
        if context.gitlab is not None:
            where = f"{context.gitlab.url}/{context.gitlab.project}"
        return f"  {fit(plain(context.name), 16)}  {fit(default, 7)}  {plain(where)}"

    def _below(self) -> Line:
        context = self.selected
        if context is None:
            return ()
        if len(self._config.contexts if self._config else ()) == 1:
            return (("a", Tone.KEY), (" adds a GitLab, whose runners can run workspaces.", Tone.PLAIN))
        count = len([row for row in self.dashboard.rows if row.workspace.context == context.name])
        return ((f"{count} workspaces in {plain(context.name)}", Tone.MUTED),)
