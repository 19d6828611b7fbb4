"""The themes: a dark one, a light one, and one without colours."""

from __future__ import annotations

from dataclasses import replace

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import BUILTIN_THEMES, Theme

DARK = Theme(
    name="wsdash-dark",
    primary="#7aa2f7",
    secondary="#7dcfff",
    accent="#e0af68",
    success="#9ece6a",
    warning="#e0af68",
    error="#f7768e",
    foreground="#c0caf5",
    background="#16161e",
    surface="#1a1b26",
    panel="#24283b",
    dark=True,
    variables={
        "block-cursor-background": "#2e3c64",
        "block-cursor-foreground": "#e6ebff",
        "block-cursor-text-style": "none",
        "border": "#3b4261",
        "scrollbar": "#2f3549",
        "scrollbar-background": "#16161e",
    },
)
LIGHT = Theme(
    name="wsdash-light",
    primary="#2e5fc9",
    secondary="#00707f",
    accent="#8a5a00",
    success="#3f7418",
    warning="#8a5a00",
    error="#b3203a",
    foreground="#24283b",
    background="#fafafa",
    surface="#f0f1f5",
    panel="#e4e6ee",
    dark=False,
    variables={
        "block-cursor-background": "#d3def7",
        "block-cursor-foreground": "#10131f",
        "block-cursor-text-style": "none",
        "border": "#b4b9cc",
        "scrollbar": "#c5c9d8",
        "scrollbar-background": "#fafafa",
    },
)
MONO = replace(BUILTIN_THEMES["ansi-dark"], name="wsdash-mono")
"""Uses the terminal's own background and text colour; `WithoutColour` removes the other colours."""

THEMES = (DARK, LIGHT, MONO)


class WithoutColour(LineFilter):
    """Removes all colours and keeps bold, reverse and underline, for NO_COLOR."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments without colours."""
        return [
            Segment(text, style.without_color if style is not None else None, control)
            for text, style, control in segments
        ]
