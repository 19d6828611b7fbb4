"""Decides when `delete_after_stopped_hours` deletes a stopped workspace, and what prevents it. Pure.

Design section 3, rules 4 and 9: unsaved work is deleted only if the user allows it by `delete_unsaved_work`.
Unknown counts as unsaved. The search for unsaved work runs once the workspace has stopped, whatever the policy;
and for the policy again when the deletion is announced, and just before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from wsdash.frozen import dataclass
from wsdash.model import Attempt, JobState, Policy, UnsavedRecord, UnsavedTotals, Workspace

LONGEST_WARNING_S = 24 * 3600.0
"""Longest time between the announcement and the deletion, in seconds; at most a tenth of the policy's hours."""
FRESH_S = 300.0
"""Greatest age of a search, in seconds, that a deletion may rely on."""
RECENT_S = 30.0
"""A record of unsaved work of that age, in seconds, is shown as it is; an older one is refreshed first."""
ENDED_LATELY_S = 3600.0
AGAIN_S = 6 * 3600.0
"""Seconds between two searches while unsaved work prevents the deletion."""


@dataclass(frozen=True, slots=True)
class Autodelete:
    """The state of a stopped workspace's deletion: at `due`, in seconds since the epoch, unless `is_kept`.

    `looks_at` is when to search for unsaved work; with `announces` the deletion is announced then. `record` is
    the result of the last search since the workspace stopped.
    """

    due: float
    looks_at: float
    announces: bool = False
    is_kept: bool = False
    record: UnsavedRecord | None = None


def autodelete(workspace: Workspace, attempts: Sequence[Attempt], now: float) -> Autodelete | None:
    """Return the state of the deletion; None if the policy has no autodelete."""
    policy = workspace.policy
    if policy.delete_after_stopped_hours is None:
        return None
    since = max([workspace.desired_changed_at, *_ends(attempts, now)])
    due = workspace.desired_changed_at + policy.delete_after_stopped_hours * 3600
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


def calls_for_a_look(workspace: Workspace, attempts: Sequence[Attempt], now: float) -> bool:
    """Return whether to search a workspace whose last job ended recently and whose unsaved work is unknown since then.

    A workspace whose job ended long ago is searched only on request.
    """
    ended_at = max(_ends(attempts, now), default=0.0)
    is_known = workspace.unsaved is not None and workspace.unsaved.at >= ended_at
    return now - ended_at <= ENDED_LATELY_S and not is_known


def is_worth_asking(workspace: Workspace, newest: Attempt | None, now: float, *, has_folder: bool) -> bool:
    """Whether its folder on this machine, or a running job, could report more about its unsaved work."""
    known = workspace.unsaved
    ended_at = newest.end.at if newest is not None and newest.end is not None else 0.0
    if known is not None and 0 <= now - known.at < RECENT_S and known.at >= ended_at:
        return False
    seen = newest.last_observation if newest is not None and newest.is_live else None
    return has_folder or (seen is not None and seen.state in (JobState.STARTING, JobState.RUNNING))


def left_by(attempts: Sequence[Attempt]) -> UnsavedTotals | None:
    """Return the unsaved work that the last job reported as it ended; None without a report.

    `attempts` are all of the workspace's, oldest first. An attempt that was never launched had no files.
    """
    for attempt in reversed(attempts):
        if attempt.end is None:
            return None
        if attempt.launched_at is not None:
            return None if attempt.last_observation is None else attempt.last_observation.left
    return None


def _ends(attempts: Sequence[Attempt], now: float) -> list[float]:
    return [attempt.end.at for attempt in attempts if attempt.end is not None and attempt.end.at <= now]


def warning(policy: Policy) -> float:
    """Return how long before the deletion it is announced, in seconds."""
    return min(LONGEST_WARNING_S, (policy.delete_after_stopped_hours or 0.0) * 360)


def record_of(
    found: UnsavedTotals,
    at: float,
    before: UnsavedRecord | None,
    policy: Policy,
    announced_at: float | None = None,
) -> UnsavedRecord:
    """Return the record of a search at that instant; it replaces the record `before`.

    An announcement stays, or is made with `announced_at`, until something prevents the deletion; a later
    deletion is announced again.
    """
    if found.holds and not policy.delete_unsaved_work:
        return UnsavedRecord(at, found)
    return UnsavedRecord(at, found, announced_at or (before.announced_at if before is not None else None))
