"""Leftovers of deleted workspaces, as values. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids of the state store's workspaces: `living` and `deleted` ones.

    `elsewhere` are those that another store has taken over. An id in none of the sets is unknown: its files may
    be all that is left of a lost store's workspace, so they stay.
    """

    living: frozenset[str]
    deleted: frozenset[str]
    elsewhere: frozenset[str] = frozenset()


AskIds = Callable[[], Ids]
"""Called after the files were listed: a workspace is committed before it has files."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file or folder that is no longer needed, and the workspace it belonged to."""

    path: Path
    what: str
