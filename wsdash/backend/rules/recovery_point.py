"""The recovery point of a workspace: when and where its work was last saved outside the job. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wsdash.backend.rules.status import words_for_seconds
from wsdash.frozen import dataclass
from wsdash.model import Attempt, Cause

TYPE_CHECKING = False  # as in typing, which the quick verbs do without
if TYPE_CHECKING:
    from typing import Literal

_PLACES: dict[str | None, str] = {
    "here": " on this machine",
    "project": " in the project",
    "elsewhere": " on another machine",
}
_SAVES = frozenset({Cause.CANCELLED, Cause.DEADLINE})


@dataclass(frozen=True, slots=True)
class RecoveryPoint:
    """Work up to `at` is saved outside the job; `at` None means that all of it is on a disk that outlives the
    job.

    `by` is a rung of the ladder in design section 5: the workspace's own folder, one on its runner's volume, a
    checkpoint, or the cache that a job saves when it ends. `checkpoint_at` is the time of a checkpoint beside a
    volume. `problem` says why there is no newer one. `place` is that of a checkpoint, as in
    `JobObservation.checkpoint_in`.
    """

    by: Literal["folder", "volume", "checkpoint", "cache"]
    at: float | None = None
    problem: str | None = None
    checkpoint_at: float | None = None
    place: str | None = None


def recovery_point(attempts: Sequence[Attempt], *, has_folder: bool) -> RecoveryPoint | None:
    """Compute it from the attempts, oldest first; None if nothing has been saved yet."""
    if has_folder:
        return RecoveryPoint("folder")
    problem = None
    for attempt in reversed(attempts):
        end, job = attempt.end, attempt.last_observation
        if attempt.is_live and job is not None:
            problem = job.checkpoint_error
        if job is not None and job.on_volume:
            return RecoveryPoint("volume", None, problem, job.saved_at)
        ended_well = end is not None and end.cause in _SAVES and end.exit_code == 0
        if end is not None and ended_well and (job is None or job.saves_on_exit):
            return RecoveryPoint("cache", end.at, problem)
        if job is not None and job.saved_at is not None:
            return RecoveryPoint("checkpoint", job.saved_at, problem, place=job.checkpoint_in)
    return None


def words(point: RecoveryPoint | None, now: float, *, coarse: bool = False) -> str:
    """Return its age in a few cells: `20 s ago`. Coarse, so that the text changes once a minute at most."""
    if point is None:
        return "not yet"
    if point.at is None:
        return "on disk" if point.by == "folder" else "on volume"
    seconds = now - point.at
    return "< 1 min" if coarse and seconds < 60 else f"{words_for_seconds(seconds)} ago"


def sentence(point: RecoveryPoint | None, now: float, *, coarse: bool = False) -> str:
    """Return its age, its place, and why there is no newer one."""
    if point is None:
        return "not saved yet: unpushed work is lost if its job dies"
    if point.by == "folder":
        return "saved on this machine's disk, where its folder stays when its job ends"
    if point.by == "volume":
        checkpoint = ""
        if point.checkpoint_at is not None:
            checkpoint = f"; {words_for_seconds(now - point.checkpoint_at)} ago also by a checkpoint"
            checkpoint = "; also by a checkpoint" if coarse else checkpoint
        return f"saved on its runner's volume, which stays when its job ends{checkpoint}"
    age = words(point, now, coarse=coarse).removesuffix(" ago")
    place = "in the cache, as its job ended"
    if point.by == "checkpoint":
        place = f"by a checkpoint{_PLACES.get(point.place, '')}"
    return f"saved {age} ago {place}" + (f"; not since: {point.problem}" if point.problem else "")
