"""When a stopped workspace is deleted by `delete_after_stopped_hours`, and what keeps it. Pure.

Design section 3, rules 4 and 9: nothing unsaved goes without its user's word, which is `delete_unsaved_work`. What is
not known counts as unsaved. It is looked for when the workspace has stopped, when the deletion is announced, and once
more just before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wsdash.model import Attempt, Policy, UnsavedRecord, Workspace

LONGEST_WARNING_S = 24 * 3600.0
"""A deletion is announced so long before, or a tenth of the hours before where these are fewer."""
FRESH_S = 300.0
"""What is deleted was looked at so short a time ago."""
AGAIN_S = 6 * 3600.0
"""What keeps a workspace may be gone when it is looked for again."""


@dataclass(frozen=True, slots=True)
class Autodelete:
    """Where a stopped workspace stands: deleted at `due`, unless `is_kept`.

    `looks_at` is when unsaved work is to be looked for, and with `announces` the deletion to be announced. `record` is
    what was found since the workspace stopped.
    """

    due: float
    looks_at: float
    announces: bool = False
    is_kept: bool = False
    record: UnsavedRecord | None = None


def autodelete(
    workspace: Workspace, attempts: Sequence[Attempt], policy: Policy, now: float
) -> Autodelete | None:
    """None where no policy asks for it."""
    if policy.delete_after_stopped_hours is None:
        return None
    ends = [attempt.end.at for attempt in attempts if attempt.end is not None and attempt.end.at <= now]
    since = max([workspace.changed_at, *ends])
    due = workspace.changed_at + policy.delete_after_stopped_hours * 3600
    warning_s = warning(policy)
    record = workspace.unsaved if workspace.unsaved is not None and workspace.unsaved.at >= since else None
    if record is None:
        return Autodelete(max(due, now + warning_s), now)
    if record.totals.holds and not policy.delete_unsaved_work:
        return Autodelete(due, record.at + AGAIN_S, is_kept=True, record=record)
    if record.announced_at is None:
        looks_at = due - warning_s
        return Autodelete(max(due, now + warning_s), looks_at, announces=True, record=record)
    due = max(due, record.announced_at + warning_s)
    is_fresh = record.at >= due and now - record.at <= FRESH_S
    return Autodelete(due, float("inf") if is_fresh else due, record=record)


def warning(policy: Policy) -> float:
    """How long before the deletion it is announced, in seconds."""
    return min(LONGEST_WARNING_S, (policy.delete_after_stopped_hours or 0.0) * 360)


def record_of(found: UnsavedRecord, plan: Autodelete, policy: Policy, now: float) -> UnsavedRecord:
    """What to record of a look: the deletion is announced where it was to be, and nothing keeps the workspace."""
    kept = found.totals.holds and not policy.delete_unsaved_work
    before = plan.record.announced_at if plan.record is not None else None
    announced_at = None if kept else now if plan.announces else before
    return UnsavedRecord(found.at, found.totals, announced_at)
