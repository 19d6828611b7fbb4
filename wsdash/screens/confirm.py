"""The confirmation of actions that destroy something or apply to several workspaces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button

from wsdash.backend.operations.unsaved_words import also_removed_words, unsaved_parts
from wsdash.screens.base import WsdashDialog
from wsdash.screens.text.spans import Line, Tone, plain, wrap
from wsdash.screens.widgets.line_view import Announced, LineScroll

FRAME = 8
"""The height of the border, the buttons and the space between them, in lines."""
LOW, LOW_FRAME = 18, 3
"""Below this height of the terminal the buttons are one line high, without space between."""


class Box(Announced, Vertical):
    """The frame of the dialog."""


class ConfirmScreen(WsdashDialog[bool]):
    """Names the action and its targets, with Cancel focused. Returns True only if the user confirms.

    `targets` are the names of the targets by id; `warnings` are sentences shown first.
    """

    asked_at = math.inf

    def __init__(
        self,
        verb: str,
        targets: Mapping[str, str],
        consequence: str,
        *,
        warnings: Sequence[str] = (),
        look_for_unsaved: bool = False,
    ) -> None:
        super().__init__()
        self._verb = verb
        self._targets = {target: plain(name) for target, name in targets.items()}
        self._consequence = consequence
        self._warnings = warnings
        self._look = look_for_unsaved
        self._found: dict[str, list[Line]] = {}

    def compose(self) -> ComposeResult:
        """Yield the frame with the text and the buttons."""
        names = list(self._targets.values())
        title = f"{self._verb} {names[0]}?" if len(names) == 1 else f"{self._verb} {len(names)} workspaces?"
        with Box(id="dialog") as dialog:
            self.ask(dialog)
            dialog.border_title = title
            dialog.border_subtitle = "j k scroll, q or esc cancels"
            yield LineScroll(self._text, focusable=False)
            with Horizontal(id="buttons"):
                yield Button("Cancel", id="no")
                yield Button(self._verb, id="yes", variant="error" if self._look else "primary")

    def on_mount(self) -> None:
        """Focus Cancel, and look for unsaved work."""
        self.set_focus(self.query_one("#no", Button))
        if self._look:
            self.spawn(self._look_for_unsaved_work(), "unsaved work")

    def on_resize(self) -> None:
        """Limit the height of the text, so that frame and buttons are always visible."""
        frame = LOW_FRAME if self.app.size.height < LOW else FRAME
        self.set_class(self.app.size.height < LOW, "-low")
        self.query_one(LineScroll).styles.max_height = max(1, self.app.size.height * 9 // 10 - frame)

    def movable(self) -> LineScroll:
        """Return the text."""
        return self.query_one(LineScroll)

    def action_move_left(self) -> None:
        """Focus the other button."""
        self.focus_previous(Button)

    def action_move_right(self) -> None:
        """Focus the other button."""
        self.focus_next(Button)

    @property
    def text(self) -> str:
        """Return the text of the dialog, for tests."""
        return self.query_one(LineScroll).text

    @on(Button.Pressed)
    def _answer(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def _text(self, width: int, _height: int) -> list[Line]:
        """Build the text: work that may be lost first, then workspaces without unsaved work."""
        lines: list[Line] = [
            ((text, Tone.WARN),) for warning in self._warnings for text in wrap(plain(warning), width)
        ]
        lines += [((text, Tone.PLAIN),) for text in wrap(self._consequence, width)]
        if len(self._targets) > 1:
            names = ", ".join(self._targets.values())
            lines += [(), *(((text, Tone.STRONG),) for text in wrap(names, width))]
        if self._look:
            for found in sorted((self._of(target) for target in self._targets), key=_worst_first):
                lines += [(), *found]
        return lines

    def _of(self, target: str) -> list[Line]:
        looking: list[Line] = [((f"{self._targets[target]}: looking for unsaved work ...", Tone.MUTED),)]
        return self._found.get(target, looking)

    async def _look_for_unsaved_work(self) -> None:
        for target, name in self._targets.items():
            self._found[target] = await self._unsaved(target, name)
            self.query_one(LineScroll).rebuild()

    async def _unsaved(self, target: str, name: str) -> list[Line]:
        """Return the unsaved work of a workspace. Never raises: an error is shown as "not known"."""
        try:
            work = await self.dashboard.service.work.unsaved_work(target)
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
            lines += [((f"    {plain(entry)}", Tone.PLAIN),) for entry in entries]
        also_removed = also_removed_words(work)
        return [*lines, ((f"  {also_removed}", Tone.MUTED),)] if also_removed else lines


def _worst_first(lines: list[Line]) -> int:
    """Sort key: unsaved work, not known, still being looked for, no unsaved work."""
    return [Tone.BAD, Tone.WARN, Tone.MUTED, Tone.GOOD].index(lines[0][0][1])
