"""Type-ahead: keys act in the order in which they were typed, each on the result of the key before it.

Textual queues changes of focus, the mounting of screens and messages of widgets behind keys that have already
arrived: of `/xyz` in one read, the letters would reach the list instead of the line that `/` opens. Here the next
key is delivered when everything that the one before started is done.
"""

from __future__ import annotations

import asyncio
import math
import select
import selectors
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING, Any

from textual import events
from textual.command import CommandPalette
from textual.message_pump import MessagePump
from textual.worker import Worker, WorkerError

if TYPE_CHECKING:
    from textual.app import App

Typed = events.Key | events.Paste
QUIET_ROUNDS = 2
MOST_ROUNDS = 100
"""The limit of rounds in which to wait: a widget that is never idle must not block the keyboard."""
CLOSED_S = 0.05
"""The interval in which to look for widgets that were closed meanwhile: they never answer."""
LEAVING = frozenset({"escape", "q", "ctrl+c", "ctrl+q"})


class TypeAhead:
    """Keys and pasted text that wait until earlier ones have been handled."""

    def __init__(self, app: App[Any], deliver: Callable[[Typed], Awaitable[None]]) -> None:
        """Take the app, and `deliver`, which passes a key to the focused widget."""
        self._app = app
        self._deliver = deliver
        self._waiting: deque[Typed] = deque()
        self._task: asyncio.Task[None] | None = None
        self._leave: Callable[[], None] | None = None
        self._looking: Worker[Any] | None = None

    @property
    def at_rest(self) -> bool:
        """Whether all keys have been handled, and everything that they started is done."""
        return self._task is None

    async def take(self, event: Typed) -> None:
        """Deliver the event now, or queue it until earlier ones are done."""
        if self._leave is not None:
            if isinstance(event, events.Key) and event.key in LEAVING:
                self._leave()
        elif self._task is not None:
            self._waiting.append(event)
        elif self._is_wanted(event):
            await self._deliver(event)
            self._task = asyncio.create_task(self._go_on(), name="type-ahead")

    def wait_for(self, worker: Worker[Any]) -> None:
        """Let the next key wait for the worker of the key that is being handled, which may ask a question.

        The worker must end in a moment, since keys are not handled meanwhile.
        """
        self._looking = worker

    def hold(self, worker: Worker[Any]) -> None:
        """Let the next key wait for the worker although no key is being handled. It must end in a moment."""
        self._looking = worker
        if self._task is None:
            self._task = asyncio.create_task(self._go_on(), name="type-ahead")

    @contextmanager
    def dropped(self, leave: Callable[[], None]) -> Iterator[None]:
        """Drop keys while another program is started on the terminal: they were typed for it.

        A key that closes a view calls `leave`, since starting the program may take long.
        """
        self._leave = leave
        self._waiting.clear()
        try:
            yield
        finally:
            self._leave = None
            self._waiting.clear()

    async def _go_on(self) -> None:
        with suppress(asyncio.CancelledError):
            while True:
                await self._settle()
                while (worker := self._looking) is not None:
                    self._looking = None
                    with suppress(WorkerError):
                        await worker.wait()
                    await self._settle()
                while self._waiting and not self._is_wanted(self._waiting[0]):
                    self._waiting.popleft()
                if not self._waiting:
                    break
                await self._answer_of_search(self._waiting[0])
                if self._waiting:
                    await self._hand_on(self._waiting.popleft())
        self._task = None

    async def _hand_on(self, event: Typed) -> None:
        """Deliver the event in the task of the app, where Textual handles keys."""
        done = asyncio.Event()

        async def deliver() -> None:
            try:
                await self._deliver(event)
            finally:
                done.set()

        if self._app.call_later(deliver):
            await done.wait()

    def _is_wanted(self, event: Typed) -> bool:
        """Whether the event may be delivered: a question takes no key typed before it was shown."""
        return event.time > getattr(self._app.screen, "asked_at", -math.inf)

    async def _answer_of_search(self, event: Typed) -> None:
        """Wait for the command palette's search before a key that chooses one of its results."""
        screen = self._app.screen
        if isinstance(screen, CommandPalette) and not (isinstance(event, events.Key) and event.is_printable):
            searches = [
                worker
                for worker in self._app.workers
                if worker.node is screen and worker.group == CommandPalette._GATHER_COMMANDS_GROUP
            ]
            with suppress(WorkerError):
                await self._app.workers.wait_for_complete(searches)
            await self._settle()

    async def _settle(self) -> None:
        """Wait until no screen or widget has anything left to do: twice in a row no message was waiting."""
        quiet = 0
        before: list[MessagePump] = []
        for _ in range(MOST_ROUNDS):
            pumps = self._pumps()
            await _all_answer(pumps)
            is_quiet = pumps == before and not any(pump.message_queue_size for pump in pumps)
            quiet = quiet + 1 if is_quiet else 0
            if quiet == QUIET_ROUNDS:
                return
            before = pumps

    def _pumps(self) -> list[MessagePump]:
        """Return the app, its screens, and the widgets of the front screen."""
        stack = self._app.screen_stack
        return [self._app, *stack, *(stack[-1].walk_children() if stack else ())]


async def _all_answer(pumps: list[MessagePump]) -> None:
    """Wait until each pump has handled its waiting messages; closed ones are skipped."""
    missing: set[MessagePump] = set()
    answered = asyncio.Event()

    def answer(pump: MessagePump) -> None:
        missing.discard(pump)
        if not missing:
            answered.set()

    for pump in pumps:
        if pump.call_later(answer, pump):
            missing.add(pump)
    while missing:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSED_S):
                await answered.wait()
        missing -= {pump for pump in missing if pump._closed}


def is_input_waiting(app: App[Any]) -> bool:
    """Whether the terminal has sent bytes that Textual's thread has not turned into events yet.

    A key's time is that of its event, which on a busy machine may be long after it was read. The thread is done when
    it waits in `select` and no bytes are there.
    """
    driver = app._driver
    descriptor = getattr(driver, "fileno", None)
    if not isinstance(descriptor, int):
        return False
    if select.select([descriptor], [], [], 0)[0]:
        return True
    thread: Thread | None = getattr(driver, "_key_thread", None)
    if thread is None or not thread.is_alive() or thread.ident is None:
        return False
    frame = sys._current_frames().get(thread.ident)
    return frame is not None and frame.f_code.co_filename != selectors.__file__
