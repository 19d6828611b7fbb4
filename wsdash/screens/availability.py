"""Checks whether an action can be done now, with the reason if it cannot. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsdash.model import Desired, Phase

if TYPE_CHECKING:
    from wsdash.backend.store.reader import WorkspaceRow

LIVE = frozenset({Phase.STARTING, Phase.RUNNING, Phase.UNHEALTHY})


@dataclass(frozen=True, slots=True)
class Subject:
    """The workspaces that an action applies to: the marked ones, or else the selected one."""

    rows: tuple[WorkspaceRow, ...] = ()
    connected: bool = True
    """Whether the service is open; before that the rows are the stored ones."""


def always(_: Subject) -> str | None:
    """Return None: available at any time."""
    return None


Availability = Callable[[Subject], str | None]


def with_service(subject: Subject) -> str | None:
    """Return a reason while the service is not open."""
    return None if subject.connected else "the store is not open yet; m shows the messages"


def with_workspace(subject: Subject) -> str | None:
    """Return a reason if there is no workspace."""
    return None if subject.rows else "no workspace is selected; a creates one"


def each(one: Callable[[WorkspaceRow], str | None]) -> Availability:
    """Return a check that at least one workspace of the subject passes; else the reason of the first is returned."""

    def check(subject: Subject) -> str | None:
        reason = with_workspace(subject) or with_service(subject)
        if reason:
            return reason
        reasons = [one(row) for row in subject.rows]
        return None if None in reasons else reasons[0]

    return check


def _named(row: WorkspaceRow, text: str) -> str:
    return f"{row.workspace.name} {text}"


def can_start(row: WorkspaceRow) -> str | None:
    """Return a reason unless the workspace is stopped, failed or being stopped."""
    if row.workspace.desired is Desired.DELETED:
        return _named(row, "is being deleted")
    if row.workspace.desired is Desired.RUNNING and row.status.phase is not Phase.FAILED:
        return _named(row, f"is {row.status.phase} already; r restarts it")
    return None


def can_extend(row: WorkspaceRow) -> str | None:
    """Return a reason unless an autostop is set and the job is starting or running."""
    policy = row.workspace.policy
    if policy.max_hours is None and policy.idle_minutes is None:
        return _named(
            row, "has no autostop; max_hours and idle_minutes in config.toml set one for new workspaces"
        )
    if row.status.phase not in (Phase.RUNNING, Phase.STARTING):
        return _named(row, f"is {row.status.phase}, so it has no autostop now")
    return None


def can_stop(row: WorkspaceRow) -> str | None:
    """Return a reason if the workspace is stopped, or is being stopped or deleted."""
    if row.workspace.desired is Desired.DELETED:
        return _named(row, "is being deleted")
    if row.workspace.desired is Desired.STOPPED:
        return _named(row, f"is {row.status.phase} already; S starts it")
    return None


def can_end_now(row: WorkspaceRow) -> str | None:
    """Return a reason unless the workspace has a job, and the phase is neither starting nor running nor unhealthy."""
    if row.attempt is None or not row.attempt.is_live:
        return _named(row, "has no job to end")
    if row.status.phase in LIVE:
        return _named(row, f"is {row.status.phase}; x stops it, r restarts it")
    return None


def can_restart(row: WorkspaceRow) -> str | None:
    """Return a reason if the workspace is being deleted."""
    return _named(row, "is being deleted") if row.workspace.desired is Desired.DELETED else None


def can_delete(row: WorkspaceRow) -> str | None:
    """Return a reason if the workspace is being deleted."""
    return _named(row, "is being deleted already") if row.workspace.desired is Desired.DELETED else None


def can_enter(row: WorkspaceRow) -> str | None:
    """Return a reason unless the job is starting or running."""
    if row.status.phase in LIVE:
        return None
    if row.status.phase in (Phase.STOPPED, Phase.FAILED):
        return _named(row, f"is {row.status.phase}; r starts it")
    return _named(row, f"is {row.status.phase}; wait until it runs")


def can_log(row: WorkspaceRow) -> str | None:
    """Return a reason if the workspace never had a job."""
    return None if row.attempt is not None else _named(row, "has not run yet, so there is no log")
