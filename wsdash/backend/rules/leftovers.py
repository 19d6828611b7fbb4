"""What is left of workspaces that are gone, as values. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ids:
    """The workspaces of the state store: those that live, and those that were deleted.

    `elsewhere` are those that another store has taken over. One that is in none is known to no store: it may be all
    that a lost one has left, so its files stay.
    """

    living: frozenset[str]
    deleted: frozenset[str]
    elsewhere: frozenset[str] = frozenset()


AskIds = Callable[[], Ids]
"""Asked after the files were listed: a workspace is committed before it has files that count as left over."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file or folder that nobody needs any more, and of what it is left."""

    path: Path
    what: str
