"""The ways in which GitLab breaks, switched on for the next requests or until removed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum


class Fault(Enum):
    """The response that replaces the real one. The bodies are GitLab's (and nginx's) own."""

    TOO_MANY_REQUESTS = "429 of Rack::Attack: plain text, with headers"
    APPLICATION_LIMIT = "429 of the application: JSON, without headers"
    PIPELINE_LIMIT = "400 that is a limit"
    TOKEN_EXPIRED = "401 for an expired token"
    TOKEN_REVOKED = "401 for a revoked token"
    INSUFFICIENT_SCOPE = "403 for a token without the scope"
    ROLE_TOO_LOW = "403 for a role that is too low"
    ARCHIVED = "403 for an archived project"
    NOT_FOUND = "404 for a project that was deleted"
    MOVED = "301 for a project that was moved"
    MAINTENANCE = "503 with a web page"
    SERVER_ERROR = "500"
    BAD_GATEWAY = "502 with a web page"
    WEB_PAGE = "200 with a web page"
    DEEP = "200 with 200,000 opening brackets"
    DEEP_ERROR = "400 with them"
    TRUNCATED = "a body that is cut off"
    CLOSED = "a connection that is closed"
    SLOW = "an answer that does not come for a while"
    LOST_REPLY = "what was asked is done, and the answer is lost"


@dataclass
class Switched:
    fault: Fault
    matches: Callable[[str, str], bool]
    left: int | None
    retry_after: int | None


@dataclass
class Faults:
    """Those that are switched on."""

    active: list[Switched] = field(default_factory=list)

    def add(
        self,
        fault: Fault,
        *,
        method: str = "",
        path: str = "",
        times: int | None = None,
        retry_after: int | None = 1,
    ) -> Switched:
        """For requests of this method whose path matches the expression; `times` None is until removed."""
        expression = re.compile(path)
        switched = Switched(
            fault,
            lambda m, p: (not method or m == method) and expression.search(p) is not None,
            times,
            retry_after,
        )
        self.active.append(switched)
        return switched

    def remove(self, switched: Switched) -> None:
        if switched in self.active:
            self.active.remove(switched)

    def clear(self) -> None:
        self.active.clear()

    def take(self, method: str, path: str) -> Switched | None:
        """The fault of this request, if it has one."""
        for switched in self.active:
            if switched.matches(method, path):
                if switched.left is not None:
                    switched.left -= 1
                    if switched.left <= 0:
                        self.active.remove(switched)
                return switched
        return None
