"""A page of text to read: the help, the messages, a workload."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from wsdash.screens.action import ScreenKind
from wsdash.screens.base import WsdashScreen, bindings_of
from wsdash.screens.text.spans import Line, Tone
from wsdash.screens.widgets.key_bar import KeyBar
from wsdash.screens.widgets.line_view import LineScroll, LineView


class PageScreen(WsdashScreen[None]):
    """A title, text that scrolls, and the key bar. Subclasses return the lines."""

    WHERE: ClassVar[ScreenKind] = ScreenKind.PAGE
    BINDINGS = bindings_of(ScreenKind.PAGE)

    def compose(self) -> ComposeResult:
        """Yield heading, text and key bar."""
        yield LineView(lambda width, height: [self.heading()], id="head")
        yield LineScroll(self.lines, id="page")
        yield KeyBar(self.WHERE, self.why_not)

    def on_mount(self) -> None:
        """Focus the text."""
        self.page.focus()

    @property
    def page(self) -> LineScroll:
        """Return the text."""
        return self.query_one(LineScroll)

    def movable(self) -> LineScroll:
        """Return the text."""
        return self.page

    def heading(self) -> Line:
        """Return the first line of the screen."""
        return (("wsdash", Tone.TITLE),)

    def lines(self, width: int, height: int) -> list[Line]:
        """Return the text for this size."""
        return []
