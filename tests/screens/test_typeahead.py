"""Keys that arrive together, as from a slow line or a paste, do what they do when they are typed one by one.

On a real (pseudo-)terminal, for every key of the table of actions that opens something.
"""

from __future__ import annotations

import os
import re
import selectors
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import cast

import pytest
from textual.app import App

from tests.screens.in_terminal import rows
from tests.screens.terminal import Terminal, environment
from wsdash.screens.action import Action, Opens, ScreenKind
from wsdash.screens.actions import on
from wsdash.screens.availability import Subject
from wsdash.screens.typeahead import is_input_waiting

KEYS = {
    "enter": b"\r", "escape": b"\x1b", "f1": b"\x1bOP", "ctrl+p": b"\x10", "tab": b"\t", "space": b" ",
}  # fmt: skip
TYPED = b"xrSDq *o-ahead"
"""Letters that stop, restart, start, delete, leave, mark and so on in the list."""
ANSWERS = (b"y", b"\r", b"\x1b[C\r", b"\t\r", b"\x1b[C\x1b[C\x1b[C\r", b"q", b"yes\r")
RIGHT = b"\x1b[C"
WAYS = {
    ScreenKind.LIST: b"",
    ScreenKind.DETAIL: b"\r",
    ScreenKind.LOG: b"l",
    ScreenKind.CONTEXTS: b"c",
    ScreenKind.PAGE: b"m",
    ScreenKind.FORM: b"a",
}
"""Keys that lead from the list to each kind of screen."""
ON = {
    ScreenKind.LIST: "LAST EVENT",
    ScreenKind.DETAIL: "STEPS of attempt",
    ScreenKind.LOG: "the log is empty",
    ScreenKind.CONTEXTS: "where workspaces run",
    ScreenKind.PAGE: "Messages  newest first",
    ScreenKind.FORM: "step 1 of 2",
}
"""A text that each kind of screen shows."""

Start = Callable[[int], "Dashboard"]


class Dashboard:
    """The dashboard on a terminal, and what its user does."""

    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        self._asked = folder / "asked"
        self.terminal = Terminal(
            "tests.screens.in_terminal", str(folder), str(count), "various", env=environment(folder)
        )
        self.terminal.wait_for(
            lambda shown: "reconciler: this dashboard" in shown and "local: podman" in shown, "the list"
        )

    @property
    def asked(self) -> list[str]:
        return [line for line in self._asked.read_text().splitlines() if not line.startswith("reconcile")]

    def sees(self, *texts: str) -> None:
        self.terminal.wait_for(lambda shown: all(text in shown for text in texts), repr(texts))

    def sees_no(self, text: str) -> None:
        self.terminal.wait_for(lambda shown: text not in shown, f"an end of {text!r}")

    def has_done(self, *asked: str) -> None:
        """Exactly this has been asked of the workspaces, now or soon."""
        self.terminal.wait_for(lambda _: len(self.asked) >= len(asked), repr(asked))
        assert self.asked == list(asked)

    def types(self, keys: bytes) -> None:
        """All in one write."""
        self.terminal.type(keys)

    def is_back(self) -> None:
        """It has the terminal again, which another program had since the last `take`."""
        self.terminal.read_until("\x1b[?1049h")
        self.terminal.settle()
        self.terminal.take()
        self.sees(ON[ScreenKind.LIST])

    def cancels(self, where: ScreenKind) -> None:
        """The question's focus is on Cancel."""
        self.types(b"\r")
        self.terminal.wait_for(
            lambda shown: ON[where] in shown and not any(part in shown for part in ("Cancel", "╭", "╰")),
            "an end of the question",
        )

    def goes_to(self, where: ScreenKind) -> None:
        self.types(WAYS[where])
        self.sees(ON[where])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Dashboard] = []

    def begin(count: int) -> Dashboard:
        started.append(Dashboard(tmp_path, count))
        return started[-1]

    yield begin
    for dashboard in started:
        dashboard.terminal.close()


def keys_of(action: Action, where: ScreenKind) -> list[bytes]:
    """The bytes that the terminal sends for the keys. In a form a character is typed."""
    keys = [key for key in action.keys if where is not ScreenKind.FORM or len(key) > 1]
    return [KEYS.get(key) or key.encode() for key in keys]


def opening(where: ScreenKind, *kinds: Opens) -> list[tuple[Action, bytes]]:
    """Each key with which something of these kinds is opened there."""
    return [(action, key) for action in on(where) if action.opens in kinds for key in keys_of(action, where)]


def place_for(action: Action, count: int) -> int:
    """The line of the first workspace that allows it."""
    return next(place for place, row in enumerate(rows(count)) if action.available(Subject((row,))) is None)


at_10_and_10000 = pytest.mark.parametrize("count", [10, 10_000])
everywhere = pytest.mark.parametrize("where", WAYS, ids=lambda where: where.name.lower())


@everywhere
def test_what_follows_a_key_that_opens_a_line_or_a_form_is_typed_there(
    start: Start, where: ScreenKind
) -> None:
    dashboard = start(10)
    dashboard.goes_to(where)
    for _, key in opening(where, Opens.LINE, Opens.FORM):
        dashboard.types(key + TYPED)
        dashboard.sees(TYPED.decode())
        dashboard.types(b"\x1b")
        dashboard.sees_no(TYPED.decode())
        dashboard.sees(ON[where])
    assert dashboard.asked == []


def test_among_ten_thousand_workspaces_too(start: Start) -> None:
    dashboard = start(10_000)
    for _, key in opening(ScreenKind.LIST, Opens.LINE, Opens.FORM):
        dashboard.types(key + TYPED)
        dashboard.sees(TYPED.decode())
        dashboard.types(b"\x1b")
        dashboard.sees_no(TYPED.decode())
        dashboard.sees(ON[ScreenKind.LIST])
    assert dashboard.asked == []


@everywhere
def test_what_follows_a_key_that_opens_a_view_goes_to_the_view(start: Start, where: ScreenKind) -> None:
    dashboard = start(10)
    dashboard.goes_to(where)
    for action, key in opening(where, Opens.VIEW):
        if action.id == "app.messages" and where is ScreenKind.PAGE:
            continue
        dashboard.types(key + b" *")
        dashboard.sees_no(ON[where])
        dashboard.types(b"q" + key + b" *q")
        dashboard.sees(ON[where])
        assert re.search(r"\d+ marked", dashboard.terminal.shown) is None  # the help page says "marked", too
    assert dashboard.asked == []


@at_10_and_10000
def test_a_question_takes_no_key_that_was_typed_before_it_was_seen(start: Start, count: int) -> None:
    dashboard = start(count)
    for action, key in opening(ScreenKind.LIST, Opens.QUESTION):
        place = place_for(action, count)
        for answer in ANSWERS if count == 10 else ANSWERS[:3]:
            dashboard.types(b"g" + b"j" * place + key + answer)
            dashboard.sees(f"{action.title} workspace-{place:04}?")
            dashboard.cancels(ScreenKind.LIST)
            assert dashboard.asked == []
    verb = action.id.partition(".")[2]
    dashboard.types(key)
    dashboard.sees(f"{action.title} workspace-{place:04}?")
    dashboard.types(RIGHT + b"\r")
    dashboard.has_done(f"{verb} workspace-{place:04}")


def test_a_question_about_a_context_neither(start: Start) -> None:
    dashboard = start(10)
    dashboard.goes_to(ScreenKind.CONTEXTS)
    for action, key in opening(ScreenKind.CONTEXTS, Opens.QUESTION):
        for answer in ANSWERS:
            dashboard.types(key + answer)
            dashboard.sees(f"{action.title} work?")
            dashboard.cancels(ScreenKind.CONTEXTS)
    assert dashboard.asked == []


@at_10_and_10000
def test_the_question_about_several_takes_no_key_that_was_typed_before_either(
    start: Start, count: int
) -> None:
    dashboard = start(count)
    for action in [action for action in on(ScreenKind.LIST) if action.bulk]:
        for answer in ANSWERS if count == 10 else ANSWERS[:3]:
            dashboard.types(b"*" + keys_of(action, ScreenKind.LIST)[0] + answer)
            question = re.compile(rf"─ {action.title} (workspace-\d+|\d+ workspaces)\?")
            dashboard.terminal.wait_for(question.search, action.title)
            dashboard.cancels(ScreenKind.LIST)
            dashboard.sees("marked")
            dashboard.types(b"*")
            dashboard.sees_no("marked")
    assert dashboard.asked == []


def test_what_follows_the_key_of_a_program_is_no_key_of_the_dashboard(start: Start) -> None:
    dashboard = start(10)
    dashboard.terminal.take()
    dashboard.types(b"sxrS\x1b[Cq")
    dashboard.terminal.read_until("say something:")
    dashboard.types(b"hello\n")
    dashboard.terminal.read_until("you said hello")
    dashboard.is_back()
    dashboard.types(b"oxrS")
    dashboard.terminal.read_until("press enter to return to wsdash.")
    dashboard.types(b"\n")
    dashboard.is_back()
    dashboard.types(b"jjjjx")
    dashboard.has_done("stop workspace-0004")


def test_one_read_may_go_through_several_lines_and_views(start: Start) -> None:
    dashboard = start(10)
    dashboard.types(b"/0007\rl")
    dashboard.sees("workspace-0007  log")
    dashboard.types(b"/xyz\rq" + b"\rq" + b"/\x150008\r" + b"?q" + b"x")
    dashboard.has_done("stop workspace-0008")
    dashboard.types(b":mess\r")
    dashboard.sees("Messages  newest first", "workspace-0008 stops")


@at_10_and_10000
def test_enter_in_the_palette_takes_what_was_typed(start: Start, count: int) -> None:
    dashboard = start(count)
    dashboard.types(b":mess\r")
    dashboard.sees("Messages  newest first")
    dashboard.types(b"q:open workspace-0005\r")
    dashboard.sees("workspace-0005", ON[ScreenKind.DETAIL])
    assert dashboard.asked == []


def test_text_that_the_terminal_says_is_pasted_is_taken_in_order(start: Start) -> None:
    dashboard = start(10)
    dashboard.types(b"a\x1b[200~" + TYPED + b"\x1b[201~")
    dashboard.sees(TYPED.decode())
    dashboard.types(b"\x1b")
    dashboard.sees(ON[ScreenKind.LIST])
    dashboard.types(b"\x1b[200~x\x1b[201~/\x1b[200~" + TYPED + b"\x1b[201~")
    dashboard.sees(TYPED.decode())
    assert dashboard.asked == []


def test_what_is_confirmed_in_a_form_is_seen_first(start: Start) -> None:
    dashboard = start(10)
    dashboard.types(b"a\x15https://git.example/a.git\r\r\r")
    dashboard.sees("step 2 of 2")
    assert dashboard.asked == []
    dashboard.types(b"\r")
    dashboard.has_done("create api")


def app_reading(descriptor: int, thread: Thread | None) -> App[None]:
    """The part of an app that tells whether input waits: its driver's terminal and the thread that reads it."""
    return cast("App[None]", SimpleNamespace(_driver=SimpleNamespace(fileno=descriptor, _key_thread=thread)))


def test_input_waits_until_textuals_thread_has_made_keys_of_all_that_it_has_read() -> None:
    read_end, write_end = os.pipe()
    may_go_on, reads = Event(), Event()

    def read_keys() -> None:
        with selectors.SelectSelector() as selector:
            selector.register(read_end, selectors.EVENT_READ)
            selector.select()
            os.read(read_end, 100)
            reads.set()
            may_go_on.wait()
            selector.select()

    thread = Thread(target=read_keys, daemon=True)
    app = app_reading(read_end, thread)
    os.write(write_end, b"Dy")
    assert is_input_waiting(app)
    thread.start()
    assert reads.wait(30)
    assert is_input_waiting(app)
    may_go_on.set()
    while is_input_waiting(app):
        assert thread.is_alive()
    os.write(write_end, b"q")
    thread.join(30)
    assert is_input_waiting(app)
    os.read(read_end, 1)
    assert not is_input_waiting(app)
