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
    """A title, text that scrolls, and the keys. A page says what its lines are."""

    WHERE: ClassVar[ScreenKind] = ScreenKind.PAGE
    BINDINGS = bindings_of(ScreenKind.PAGE)

    def compose(self) -> ComposeResult:
        yield LineView(lambda width, height: [self.heading()], id="head")
        yield LineScroll(self.lines, id="page")
        yield KeyBar(self.WHERE, self.why_not)

    def on_mount(self) -> None:
        self.page.focus()

    @property
    def page(self) -> LineScroll:
        return self.query_one(LineScroll)

    def movable(self) -> LineScroll:
        return self.page

    def heading(self) -> Line:
        """The first line of the screen."""
        return (("wsdash", Tone.TITLE),)

    def lines(self, width: int, height: int) -> list[Line]:
        """The text for this width."""
        return []
