"""The relay's record of a workspace's job: that it connected, was refused, or was disconnected. Blocks."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from wsdash.backend.access.grants import Grant, Grants
from wsdash.backend.system.files import atomic

LONGEST = 200
"""Most characters of a reason."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The last events of an attempt's job, as the relay with the process id `relay` saw them.

    Times are in seconds since the epoch, 0 if there was none. `refusal` is the reason why its last login failed,
    `socket_problem` why a connected job has no socket. `host` is the address that it came from.
    """

    attempt_id: str
    relay: int = 0
    host: str = ""
    connected_at: float = 0.0
    ended_at: float = 0.0
    refused_at: float = 0.0
    refusal: str = ""
    socket_problem: str = ""

    @property
    def is_refused(self) -> bool:
        """Whether its last login failed."""
        return self.refused_at > max(self.connected_at, self.ended_at)

    @property
    def is_connected(self) -> bool:
        """Whether the job was connected when that relay saw it last."""
        return self.connected_at > self.ended_at


def read(folder: Path, workspace_id: str) -> Sighting | None:
    """Return the record of a workspace; None if it is missing or unreadable."""
    with suppress(OSError, ValueError, TypeError, RecursionError):
        record = json.loads((folder / f"{workspace_id}.json").read_text(encoding="utf-8"))
        return Sighting(**{key: value for key, value in record.items() if key in _FIELDS})
    return None


@dataclass(frozen=True, slots=True)
class Reached:
    """The address, `HOST PORT`, by which a job of a context has connected, first at `at`, from `host`."""

    address: str
    at: float
    host: str


def read_reached(file: Path) -> dict[str, Reached]:
    """Return, by context, the address by which a job last connected; empty if the file is unreadable."""
    with suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
        record = json.loads(file.read_text(encoding="utf-8"))
        return {context: Reached(**found) for context, found in record.items()}
    return {}


class Sightings:
    """The records of a relay: one for each workspace with a grant, written by `flush`."""

    def __init__(self, folder: Path, reached: Path, grants: Grants) -> None:
        self._folder = folder
        self._reached = reached
        self._grants = grants
        self._seen: dict[str, Sighting] = {}
        self._changed: set[str] = set()
        self._new: dict[str, Reached] = {}

    def note(self, grant: Grant, **changes: float | str) -> None:
        """Record what happened to the grant's job."""
        before = self._seen.get(grant.workspace_id) or read(self._folder, grant.workspace_id)
        if before is None or before.attempt_id != grant.attempt_id:
            before = Sighting(grant.attempt_id)
        cut = {key: value[:LONGEST] if isinstance(value, str) else value for key, value in changes.items()}
        found = Sighting(**{**asdict(before), "relay": os.getpid(), **cut})
        self._seen[grant.workspace_id] = found
        self._changed.add(grant.workspace_id)
        if "connected_at" in changes and grant.context and grant.address and not grant.later:
            self._new[grant.context] = Reached(grant.address, found.connected_at, found.host)

    def flush(self) -> None:
        """Write the changed records of workspaces with a grant. Raises `OSError`."""
        while self._changed:
            workspace_id = self._changed.pop()
            if self._grants.of_workspace(workspace_id) is None:
                self._seen.pop(workspace_id, None)
                continue
            record = json.dumps(asdict(self._seen[workspace_id])).encode()
            atomic.write(self._folder / f"{workspace_id}.json", record)
        if self._new:
            known, new = read_reached(self._reached), self._new
            self._new = {}
            changed = {
                context: found
                for context, found in new.items()
                if context not in known or known[context].address != found.address
            }
            if changed:
                record = json.dumps(
                    {key: asdict(found) for key, found in {**known, **changed}.items()}
                ).encode()
                atomic.write(self._reached, record)


_FIELDS = frozenset(field.name for field in fields(Sighting))
