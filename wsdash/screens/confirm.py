"""The question before something is destroyed, or done to several workspaces at once."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button

from wsdash.backend.unsaved_words import beside_words, unsaved_parts
from wsdash.screens.base import WsdashDialog
from wsdash.screens.widgets.lines import LineScroll
from wsdash.screens.widgets.text import Line, Tone, plain, wrap

MOST_LINES = 8


class ConfirmScreen(WsdashDialog[bool]):
    """Names what will be done to what, with Cancel focused. Answers True only for a clear yes."""

    def __init__(self, verb: str, names: Sequence[str], consequence: str, *, look_for_unsaved: bool) -> None:
        super().__init__()
        self._verb = verb
        self._names = [plain(name) for name in names]
        self._consequence = consequence
        self._look = look_for_unsaved
        self._found: dict[str, list[Line]] = {}

    def compose(self) -> ComposeResult:
        one = len(self._names) == 1
        title = f"{self._verb} {self._names[0]}?" if one else f"{self._verb} {len(self._names)} workspaces?"
        with Vertical(id="dialog") as dialog:
            dialog.border_title = title
            dialog.border_subtitle = "q or esc cancels"
            yield LineScroll(self._text, focusable=False)
            with Horizontal(id="buttons"):
                yield Button("Cancel", id="no")
                yield Button(self._verb, id="yes", variant="error" if self._look else "primary")

    def on_mount(self) -> None:
        self.query_one("#no", Button).focus()
        if self._look:
            self.spawn(self._look_for_unsaved_work(), "unsaved work")

    def do_move_left(self) -> None:
        self.focus_previous()

    def do_move_right(self) -> None:
        self.focus_next()

    @property
    def text(self) -> str:
        """What the question says, for tests."""
        return self.query_one(LineScroll).text

    @on(Button.Pressed)
    def _answer(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def _text(self, width: int, _height: int) -> list[Line]:
        singular = len(self._names) == 1
        consequence = self._consequence
        if singular:
            consequence = consequence.replace("Their jobs end", "Its job ends").replace(
                "their files", "its files"
            )
        lines: list[Line] = [((text, Tone.PLAIN),) for text in wrap(consequence, width)]
        if not singular:
            lines += [(), *(((text, Tone.STRONG),) for text in wrap(", ".join(self._names), width))]
        if self._look:
            for name in self._names:
                found = self._found.get(name)
                lines.append(())
                if found is None:
                    lines.append(((f"{name}: looking for unsaved work ...", Tone.MUTED),))
                else:
                    lines += found
        return lines

    async def _look_for_unsaved_work(self) -> None:
        for name in self._names:
            self._found[name] = await self._unsaved(name)
            self.query_one(LineScroll).rebuild()

    async def _unsaved(self, name: str) -> list[Line]:
        """Never raises: not knowing is an answer that the user needs."""
        try:
            work = await self.dashboard.service.unsaved_work(name)
        except Exception as error:
            reason = plain(str(error)) or type(error).__name__
            return [((f"{name}: whether there is unsaved work is not known ({reason}).", Tone.WARN),)]
        if work is None:
            return [((f"{name}: whether there is unsaved work is not known.", Tone.WARN),)]
        if not work:
            lines: list[Line] = [((f"{name}: all work is committed and pushed.", Tone.GOOD),)]
        else:
            lost = f": {work.totals.words}" if work.totals.words else ""
            lines = [((f"{name}: this will be lost{lost}", Tone.BAD),)]
        for title, entries in unsaved_parts(work):
            lines.append(((f"  {title}:", Tone.WARN),))
            lines += [((f"    {plain(entry)}", Tone.PLAIN),) for entry in entries[:MOST_LINES]]
            if len(entries) > MOST_LINES:
                lines.append(((f"    and {len(entries) - MOST_LINES} more", Tone.MUTED),))
        beside = beside_words(work)
        return [*lines, ((f"  {beside}", Tone.MUTED),)] if beside else lines
