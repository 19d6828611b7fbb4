"""The line in which the user types the words to find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

WIDTH = 36


class FindInput(Input):
    """Reports its words as they are typed. Enter keeps them, escape clears them; both close the line."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "clear", "Clear", show=False)]
    DEFAULT_CSS = f"""
    FindInput, FindInput:focus {{
        width: {WIDTH}; height: 1; border: none; padding: 0 1; background: $surface;
    }}
    """

    @dataclass
    class Typed(Message):
        """The words were changed."""

        control_: FindInput
        words: str

        @property
        def control(self) -> FindInput:
            """Return the line."""
            return self.control_

        def can_replace(self, message: Message) -> bool:
            """Let only the newest of several waiting messages be handled."""
            return isinstance(message, type(self))

    @dataclass
    class Left(Message):
        """The line is to be closed, and these words stay in effect."""

        control_: FindInput
        words: str

        @property
        def control(self) -> FindInput:
            """Return the line."""
            return self.control_

    def __init__(self, words: str = "") -> None:
        super().__init__(words, placeholder="type to find, enter keeps, esc clears", select_on_focus=False)
        self.cursor_blink = False

    def on_input_changed(self, event: Input.Changed) -> None:
        """Report the words."""
        event.stop()
        self.post_message(self.Typed(self, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close the line, and keep the words."""
        event.stop()
        self.post_message(self.Left(self, event.value))

    def action_clear(self) -> None:
        """Close the line, and clear the words."""
        self.post_message(self.Left(self, ""))
