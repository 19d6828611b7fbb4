"""The line of keys at the bottom, from the table of actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events

from wsdash.screens.action import Action, ScreenKind, key_name
from wsdash.screens.actions import bar_key, footer_actions
from wsdash.screens.text.spans import Line, Span, Tone, width_of
from wsdash.screens.widgets.line_view import LineView


class KeyBar(LineView):
    """Shows as many keys as fit. Keys of unavailable actions are muted; a click performs the action."""

    def __init__(self, where: ScreenKind, why_not: Callable[[Action], str | None]) -> None:
        super().__init__(self._keys)
        self._where = where
        self._actions = footer_actions(where)
        self._why_not = why_not
        self._places: list[tuple[int, int, Action]] = []

    def _keys(self, width: int, _height: int) -> list[Line]:
        """Return keys from the left until there is no room; the last ones (close, help) are always shown."""
        firm = [action for action in self._actions if action.hint >= 90]
        loose = [action for action in self._actions if action.hint < 90]
        while loose and width_of(self._line([*loose, *firm])) > width:
            loose.pop()
        return [self._line([*loose, *firm])]

    def _line(self, actions: Sequence[Action]) -> Line:
        spans: list[Span] = []
        self._places = []
        at = 0
        for action in actions:
            off = self._why_not(action) is not None
            key, title = key_name(bar_key(action, self._where)), f" {action.title}"
            spans += [
                (key, Tone.MUTED if off else Tone.KEY),
                (title, Tone.MUTED if off else Tone.PLAIN),
                ("  ", Tone.MUTED),
            ]
            self._places.append((at, at + len(key) + len(title), action))
            at += len(key) + len(title) + 2
        return tuple(spans[:-1])

    async def on_click(self, event: events.Click) -> None:
        """Perform the action that was clicked."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        for left, right, action in self._places:
            if left <= offset.x - 1 < right:
                await self.screen.run_action(f"perform('{action.id}')")
