"""The parts of a workspace that are read for one workspace at a time, but not for a list."""

from __future__ import annotations

from dataclasses import dataclass

from wsdash.backend.rules.decide import Decision
from wsdash.backend.store.reader import WorkspaceRow
from wsdash.model import Attempt, Event, Workspace


@dataclass(frozen=True, slots=True)
class WorkspaceDetail:
    """One workspace with its attempts and events, newest first; `workload` is JSON text, without secrets of
    addresses.

    `superseded` are paths of checkpoints that could not be restored into a later job; they are kept for the user.
    """

    row: WorkspaceRow
    attempts: tuple[Attempt, ...]
    events: tuple[Event, ...]
    workload: str
    superseded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """The reconciler's next step for one workspace."""

    workspace: Workspace
    decision: Decision
