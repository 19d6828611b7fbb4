"""Places the times that a job tells on our clock, without trusting the job's clock. Pure.

The clock of a job may be ahead or behind, may be set while the job runs, or stand still while its machine sleeps. So:

- A heartbeat was sent when wsdash first saw it, at the latest when the job ended.
- Another time of the job lies as far from its heartbeat as the job's clock says, but not before the last poll that did
  not have it, and not after the first one that has it.
- A time that was placed once stays there.

So the error of a time is at most the interval of heartbeats and of polls. Only the age of a heartbeat that was there
when wsdash began to poll is unknown. If no other one follows, it may be old: then its times count as no newer than the
job's own clock says (`at_most`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

WATCHED_S = 60.0
"""Seconds between two polls between which nothing can be missed: longer ones count as a pause of wsdash."""
DOUBT_S = 90.0
"""Seconds after which a heartbeat of unknown age may be old, if no other one followed: jobs send two a minute."""


@dataclass(frozen=True, slots=True)
class JobClock:
    """The newest heartbeat of a job, and the times that it tells, on both clocks."""

    number: tuple[int, float]
    """Tells this heartbeat from the one before: its number, and its time in the log if it came from there."""
    at: float
    """The time at which it was first seen, on our clock."""
    is_proven: bool
    """Whether its age is known: it was seen to follow another one, or its job ended with it."""
    is_doubtful: bool
    """Whether it may be old: its age is unknown, and no other one followed."""
    placed: Mapping[str, tuple[float, float]]
    """The times that the job tells by name, each on the job's clock and on ours; none before the first heartbeat."""

    def instant(self, name: str) -> float | None:
        """Return a time of the job on our clock; None if the job does not tell it."""
        found = self.placed.get(name)
        return None if found is None else found[1]

    def at_most(self, name: str, skew: float) -> float | None:
        """Return the same, but no newer than the job's clock says while the heartbeat may be old."""
        found = self.placed.get(name)
        if found is None or not self.is_doubtful:
            return self.instant(name)
        return min(found[1], found[0] + skew)


@dataclass(frozen=True, slots=True)
class Span:
    """The life of a job on our clock: nothing that it tells is from before or after it.

    `is_final`: its last heartbeat tells its end.
    """

    created_at: float | None = None
    ended_at: float | None = None
    is_final: bool = False


def silent(now: float) -> JobClock:
    """Return what is known before the first heartbeat, whose age is known then."""
    return JobClock((-1, 0.0), now, is_proven=True, is_doubtful=False, placed={})


def seen(
    before: JobClock | None,
    number: tuple[int, float],
    reading: float,
    reported: Mapping[str, float],
    now: float,
    looked_at: float | None,
    span: Span,
) -> JobClock:
    """Return what is known after a poll at `now`; `looked_at` is the time of the poll before, None for the first one.

    `reading` is the heartbeat's time on the job's clock, `reported` the other times that it tells.
    """
    latest = now if span.ended_at is None else min(now, span.ended_at)
    if before is None or before.number != number:
        is_watched = looked_at is not None and now - looked_at <= WATCHED_S
        is_proven = (before is not None and is_watched) or (span.ended_at is not None and span.is_final)
        found = JobClock(number, latest, is_proven, is_doubtful=False, placed={})
    elif _has(before, reported) and not _becomes_doubtful(before, now, span):
        return before
    else:
        found = before
    old = {} if before is None else before.placed
    not_before = span.created_at if before is None else looked_at
    placed = {}
    for name, at in reported.items():
        known = old.get(name)
        is_known = known is not None and known[0] == at
        placed[name] = (
            known if is_known and known else (at, _within(found.at + at - reading, not_before, latest))
        )
    return replace(found, placed=placed, is_doubtful=found.is_doubtful or _becomes_doubtful(found, now, span))


def _has(clock: JobClock, reported: Mapping[str, float]) -> bool:
    return reported.keys() == clock.placed.keys() and all(
        clock.placed[name][0] == at for name, at in reported.items()
    )


def _becomes_doubtful(clock: JobClock, now: float, span: Span) -> bool:
    may_be_old = now - clock.at > DOUBT_S or span.ended_at is not None
    return not clock.is_proven and not clock.is_doubtful and may_be_old


def _within(instant: float, not_before: float | None, latest: float) -> float:
    return min(latest, instant if not_before is None else max(instant, not_before))
