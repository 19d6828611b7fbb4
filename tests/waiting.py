"""Waits for a condition, with a deadline: the one place of the tests that sleeps."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")
_FIRST_S = 0.002
_LONGEST_S = 0.1
_ASKING_SHARE = 0.25
"""Of the time of a wait, at most this much goes into asking: a condition that starts a program keeps no core busy."""


@overload
async def until(condition: Callable[[], Awaitable[T | None]], timeout: float = ..., what: str = ...) -> T: ...
@overload
async def until(condition: Callable[[], T | None], timeout: float = ..., what: str = ...) -> T: ...
async def until(condition: Callable[[], Any], timeout: float = 60.0, what: str = "") -> Any:
    """The condition's first true value. Raises AssertionError when there is none within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = _FIRST_S
    while True:
        asked = time.monotonic()
        found = condition()
        value = await found if inspect.isawaitable(found) else found
        if value:
            return value
        _check(deadline, value, what)
        await asyncio.sleep(_pause(pause, asked))
        pause = min(pause * 1.5, _LONGEST_S)


def until_sync(condition: Callable[[], T | None], timeout: float = 60.0, what: str = "") -> T:
    """`until` outside of an event loop."""
    deadline = time.monotonic() + timeout
    pause = _FIRST_S
    while True:
        asked = time.monotonic()
        value = condition()
        if value:
            return value
        _check(deadline, value, what)
        time.sleep(_pause(pause, asked))
        pause = min(pause * 1.5, _LONGEST_S)


def _pause(shortest: float, asked: float) -> float:
    took = time.monotonic() - asked
    return max(shortest, min(took * (1 / _ASKING_SHARE - 1), 1.0))


def _check(deadline: float, value: object, what: str) -> None:
    if time.monotonic() > deadline:
        raise AssertionError(f"waited in vain for {what or 'a condition'}; last seen: {value!r}")
