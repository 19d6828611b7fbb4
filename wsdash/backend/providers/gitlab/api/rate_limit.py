"""The rate limit of one GitLab user, shared by all dashboards and daemons on this host.

GitLab has two limiters (its page "Rate limits"): one reports its state in headers, the other answers 429 without
details. A process stores its findings in a small file, so that the others wait as well.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path

from wsdash.backend.providers.gitlab.api.errors import RateLimited
from wsdash.backend.system.files import atomic
from wsdash.paths import make_folder

FIRST_BACKOFF_S = 15.0
LONGEST_BACKOFF_S = 300.0
LONGEST_S = 3600.0
"""Longest wait in seconds, however far in the future a server's header points."""
SCARCE = 0.1
"""With a smaller share of the requests left, polls wait and leave the rest to users' commands."""


@dataclass(frozen=True, slots=True)
class State:
    """The known state of the limits. Times are in seconds since the epoch on our clock."""

    not_before: float = 0.0
    looks_not_before: float = 0.0
    refusals: int = 0
    """Consecutive refusals that did not say how long to wait."""


def next_state(state: State, status: int, headers: Mapping[str, str], now: float, random: float) -> State:
    """Return the state after an answer. `random` is from 0 up to 1; header names are in lower case."""
    if status == 429:
        wait = _seconds(headers.get("retry-after"), now)
        if wait is None:
            wait = _until_reset(headers, now)
        if wait is not None:
            return replace(state, not_before=max(state.not_before, now + wait), refusals=0)
        backoff = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2**state.refusals)
        wait = backoff * (0.75 + 0.5 * random)
        return replace(
            state, not_before=max(state.not_before, now + wait), refusals=min(state.refusals + 1, 10)
        )
    limit, remaining = _number(headers.get("ratelimit-limit")), _number(headers.get("ratelimit-remaining"))
    reset = _until_reset(headers, now)
    if limit and remaining is not None and reset is not None and remaining < SCARCE * limit:
        return replace(state, refusals=0, looks_not_before=now + min(reset, reset / (remaining + 1)))
    return replace(state, refusals=0) if state.refusals else state


def refused_in_words(state: State, now: float, random: float) -> State:
    """Return the state after an answer 400 for a limit, which is over in a minute."""
    return replace(state, not_before=max(state.not_before, now + 60.0 * (1.0 + 0.2 * random)))


class RateLimiter:
    """Keeps the state in `file`. If the file is damaged or not writable, the state is lost, with no other effect."""

    def __init__(self, file: Path, clock: Callable[[], float], random: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock
        self._random = random

    async def check(self, *, urgent: bool, what: str) -> None:
        """Raise `RateLimited` if the limit is reached. A user's command is urgent, a poll is not."""
        state = await asyncio.to_thread(self._read)
        due = state.not_before if urgent else max(state.not_before, state.looks_not_before)
        if self._clock() < due:
            raise self.limited(what, due)

    async def record_response(self, status: int, headers: Mapping[str, str]) -> State:
        """Update the state with an answer's status and headers."""
        lower = {name.lower(): value for name, value in headers.items()}
        return await self._change(lambda s: next_state(s, status, lower, self._clock(), self._random()))

    async def record_refusal(self) -> State:
        """Update the state with an answer 400 for a limit."""
        return await self._change(lambda s: refused_in_words(s, self._clock(), self._random()))

    def limited(self, what: str, due: float) -> RateLimited:
        """Return the error with the end of the wait."""
        seconds = max(1, round(due - self._clock()))
        error = RateLimited(
            f"GitLab asked for fewer requests, so {what} waits for {seconds} s",
            "wsdash retries automatically; nothing is lost.",
        )
        error.retry_at = due
        return error

    async def _change(self, change: Callable[[State], State]) -> State:
        before = await asyncio.to_thread(self._read)
        if change(before) == before:
            return before
        return await asyncio.to_thread(self._write, change)

    def _read(self) -> State:
        try:
            values = json.loads(self._file.read_bytes()[:4096])
            state = State(
                float(values["not_before"]), float(values["looks_not_before"]), int(values["refusals"])
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return State()
        # A clock that was set back, or a damaged file, must not cause an endless wait.
        latest = self._clock() + LONGEST_S
        fits = state.not_before <= latest and state.looks_not_before <= latest and 0 <= state.refusals <= 10
        return state if fits else State()

    def _write(self, change: Callable[[State], State]) -> State:
        try:
            make_folder(self._file.parent)
            lock = os.open(self._file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return change(State())
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = change(self._read())
            atomic.write(self._file, json.dumps(asdict(state)).encode())
            return state
        except OSError:
            return change(State())
        finally:
            os.close(lock)


def _seconds(text: str | None, now: float) -> float | None:
    """Return the seconds of a Retry-After header, which holds seconds or a date."""
    if text is None:
        return None
    number = _number(text)
    if number is None:
        try:
            number = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, TypeError):
            return None
    return min(max(number, 1.0), LONGEST_S)


def _until_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds until RateLimit-Reset, which is a time and not a duration, by the server's clock."""
    reset = _number(headers.get("ratelimit-reset"))
    if reset is None:
        return None
    try:
        there = parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        there = now
    return min(max(reset - there, 1.0), LONGEST_S)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
