"""The page of keys, made from the table of actions."""

from __future__ import annotations

from wsdash.screens.action import Action, Group, ScreenKind, key_names
from wsdash.screens.actions import on
from wsdash.screens.text.glyphs import Glyphs
from wsdash.screens.text.spans import Line, Tone, fit, wrap
from wsdash.screens.text_page import PageScreen

KEYS_WIDTH = 16
TITLE_WIDTH = 18


class HelpScreen(PageScreen):
    """The keys of one kind of screen, from the same table that the bindings come from."""

    def __init__(self, where: ScreenKind, glyphs: Glyphs) -> None:
        super().__init__()
        self._where = where
        self._glyphs = glyphs

    def heading(self) -> Line:
        """Return the title."""
        return (("Help", Tone.TITLE), (f"  keys in {self._where.value}", Tone.MUTED))

    def lines(self, width: int, height: int) -> list[Line]:
        """Return the keys by group."""
        return help_lines(on(self._where), width)


def help_lines(actions: tuple[Action, ...], width: int) -> list[Line]:
    """Return the actions by group, with keys, title and description, wrapped to the width."""
    lines: list[Line] = []
    for group in Group:
        members = [action for action in actions if action.group is group]
        if not members:
            continue
        lines += [(), ((group.value, Tone.TITLE),)]
        for action in members:
            texts = wrap(action.help, max(20, width - KEYS_WIDTH - TITLE_WIDTH))
            lines.append(
                (
                    (fit(key_names(action) or "(palette)", KEYS_WIDTH), Tone.KEY),
                    (fit(action.title, TITLE_WIDTH), Tone.STRONG),
                    (texts[0], Tone.PLAIN),
                )
            )
            lines += [((" " * (KEYS_WIDTH + TITLE_WIDTH) + text, Tone.PLAIN),) for text in texts[1:]]
    return lines[1:]
