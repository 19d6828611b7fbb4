"""One action of the dashboard: its key, its texts, where it can be used and what it can cost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from wsdash.screens.availability import Availability, always


class ScreenKind(Enum):
    """The kinds of screen that an action can be used on."""

    LIST = "the list"
    DETAIL = "a workspace"
    LOG = "a log"
    FORM = "the form"
    DIALOG = "a question"
    PAGE = "a page of text"
    CONTEXTS = "the contexts"


class Group(StrEnum):
    """The headings of the help page, in its order."""

    WORKSPACE = "Workspace"
    FORM = "Form"
    LIST = "List"
    CONTEXT = "Context"
    LOG = "Log"
    MOVE = "Move"
    VIEW = "View"
    PROGRAM = "wsdash"


class Danger(Enum):
    """The cost of an action. DESTROYS always asks first; INTERRUPTS asks if it applies to several workspaces."""

    NONE = 0
    INTERRUPTS = 1
    DESTROYS = 2


class Opens(Enum):
    """The place that gets the next keys, for an action that opens something."""

    LINE = "a line to type in"
    FORM = "a form"
    VIEW = "another view"
    QUESTION = "a question, which takes no key that was typed before it is seen"
    PROGRAM = "another program on the terminal"


@dataclass(frozen=True, slots=True)
class Action:
    """An action that the user can do.

    `available` returns the reason why it cannot be done now, or None. `hint` is its place in the key bar, 0 for none.
    A `bulk` action can be done to several marked workspaces at once, and then always asks first.
    """

    id: str
    keys: tuple[str, ...]
    title: str
    help: str
    group: Group
    where: frozenset[ScreenKind]
    available: Availability = always
    danger: Danger = Danger.NONE
    bulk: bool = False
    hint: int = 0
    opens: Opens | None = None

    @property
    def method(self) -> str:
        """The name of the screen's method that performs it."""
        return "action_" + self.id.replace(".", "_")


KEY_NAMES = {
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "f1": "F1",
}


def key_name(key: str) -> str:
    """Return the key's usual name."""
    return KEY_NAMES.get(key, key)


def key_names(action: Action) -> str:
    """Return the names of all keys of an action."""
    return " ".join(key_name(key) for key in action.keys)
