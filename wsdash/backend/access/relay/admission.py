"""Limits logins in progress with a budget of their own, apart from tunnels. Pure.

All jobs of a runner share its address, so a host cannot be refused because one of its jobs misbehaves. When a budget
is used up, one stalled login is ended and the new one continues. That is the login with the fewest steps; among equals,
the one that has stalled longest, because a job on a busy machine may need longer for a step than a silent client takes
to be noticed. Each step may take a second, or hundreds of simultaneous logins would end one another.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

RESERVED_FILES = 48
"""File descriptors for the relay's own files, its log, and the questions to GitLab."""
MOST_TUNNELS = 500
MOST_LOGINS = 600
MOST_LOGINS_OF_HOST = 400
STEP_S = 1.0
MOST_SESSIONS = 200
MOST_LOGINS_OF_ATTEMPT = 10
LOGIN_RATE_S = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a process: tunnels, logins in progress, and the user's connections in one tunnel.

    A tunnel takes two file descriptors, and one more for each of the user's connections.
    """

    tunnels: int
    logins: int
    logins_of_host: int
    sessions: int

    @classmethod
    def of(cls, files: int) -> Limits:
        """Derive the limits from `files`, the process's limit of open files."""
        free = max(files - RESERVED_FILES, 24)
        logins = min(MOST_LOGINS, free // 4)
        tunnels = min(MOST_TUNNELS, (free - logins) // 4)
        sessions = min(MOST_SESSIONS, free - logins - 2 * tunnels)
        return cls(tunnels, logins, min(MOST_LOGINS_OF_HOST, max(2 * logins // 3, 2)), sessions)


class Connection(Protocol):
    """A connection whose login is not finished. `progress` is the number of steps that are done."""

    @property
    def host(self) -> str:
        """The address that the connection comes from."""

    @property
    def progress(self) -> int:
        """The number of login steps that are done."""


@dataclass(slots=True)
class _Login:
    connection: Connection
    moved_at: float
    progress: int = 0


@dataclass(slots=True)
class Logins:
    """The logins that are not finished, of all hosts."""

    limits: Limits
    _logins: dict[int, _Login] = field(default_factory=dict)

    def begin(self, connection: Connection, now: float) -> Connection | None:
        """Add a login; return the connection that must end to make room, which is itself if no other has
        stalled.
        """
        for login in self._logins.values():
            if (progress := login.connection.progress) != login.progress:
                login.progress, login.moved_at = progress, now
        others = list(self._logins.values())
        of_host = [one for one in others if one.connection.host == connection.host]
        if len(of_host) >= self.limits.logins_of_host:
            others = of_host
        elif len(others) < self.limits.logins:
            others = []
        resting = [login for login in others if now - login.moved_at >= STEP_S]
        if others and not resting:
            return connection
        must_end = min(resting, key=lambda login: (login.progress, login.moved_at), default=None)
        self._logins[id(connection)] = _Login(connection, now)
        return None if must_end is None else must_end.connection

    def end(self, connection: Connection) -> None:
        """Remove a login that has succeeded or whose connection has closed."""
        self._logins.pop(id(connection), None)

    def __len__(self) -> int:
        return len(self._logins)


@dataclass(slots=True)
class LoginRate:
    """The number of recent logins of each attempt."""

    _at: dict[str, deque[float]] = field(default_factory=dict)

    def note(self, attempt_id: str, now: float) -> None:
        """Record a login by key, which only the attempt's own job can make."""
        for other in [other for other, times in self._at.items() if now - times[-1] > LOGIN_RATE_S]:
            del self._at[other]
        self._at.setdefault(attempt_id, deque(maxlen=MOST_LOGINS_OF_ATTEMPT)).append(now)

    def too_many(self, attempt_id: str, now: float) -> bool:
        """Whether the attempt must wait: `MOST_LOGINS_OF_ATTEMPT` in `LOGIN_RATE_S`."""
        times = self._at.get(attempt_id)
        return times is not None and len(times) == MOST_LOGINS_OF_ATTEMPT and now - times[0] < LOGIN_RATE_S
