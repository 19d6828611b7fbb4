"""The times of a job on our clock, whatever its own clock does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from tests.backend.builders import NOW, workspace
from wsdash.backend.providers.gitlab.api.models import Pipeline
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat
from wsdash.backend.providers.gitlab.observe import job_clock, observation
from wsdash.backend.providers.gitlab.observe.job_clock import Span
from wsdash.backend.providers.gitlab.observe.observation import Memory
from wsdash.backend.rules.decide import Cancel, decide
from wsdash.model import Attempt, JobObservation, Observation, Policy

DAY_S = 86400
BEAT_S = 10
POLL_S = 5
IDLE_MINUTES = 2.0


@dataclass
class Job:
    """A job that works all the time until it dies, and saves every half minute. Its clock is anything."""

    offset: int
    steps: dict[int, int]
    """By the second in which its clock is set: by how much."""
    asleep: frozenset[int]
    """The seconds in which its machine is asleep, and its clock stands still."""
    dies_at: int | None
    uses_until: int
    seq: int = 0
    told: Heartbeat = field(default_factory=lambda: Heartbeat("w", "a", 1, 1))
    saved: int | None = None
    active: int = 0
    truly_saved: float | None = None
    truly_active: float = 0.0
    truly_sent: float = 0.0

    def live(self, second: int) -> None:
        self.offset += self.steps.get(second, 0)
        if second in self.asleep:
            self.offset -= 1
            return
        if self.dies_at is not None and second >= self.dies_at:
            return
        reading = int(NOW) + second + self.offset
        if second <= self.uses_until or not self.active:
            self.active, self.truly_active = reading, NOW + second
        if second % 30 == 7:
            self.saved, self.truly_saved = reading, NOW + second
        if second % BEAT_S == 0:
            self.seq += 1
            facts = {"started": str(int(NOW) + self.offset), "active": str(self.active)}
            if self.saved is not None:
                facts["saved"] = str(self.saved)
            self.told = Heartbeat("w", "a", 1, 1, reading, "ready", self.seq, facts)
            self.truly_sent = NOW + second


@st.composite
def jobs(draw: st.DrawFn) -> tuple[Job, int]:
    """A job, and how many seconds it is watched."""
    length = draw(st.integers(200, 500))
    steps = draw(st.dictionaries(st.integers(1, length), st.integers(-DAY_S, DAY_S), max_size=3))
    slept = draw(st.lists(st.tuples(st.integers(0, length), st.integers(1, 25)), max_size=2))
    asleep = frozenset(second for begin, long in slept for second in range(begin, begin + long))
    dies_at = draw(st.none() | st.integers(30, length))
    uses_until = draw(st.integers(0, length))
    return Job(draw(st.integers(-DAY_S, DAY_S)), steps, asleep, dies_at, uses_until), length


def watch(job: Job, length: int, check: Callable[[int, JobObservation], None], *, since: int = 0) -> None:
    memory, looked_at = Memory(), None
    pipeline = Pipeline(id=1, status="running", ref="wsdash/w", created_at=NOW - 60, updated_at=NOW - 5)
    for second in range(length):
        job.live(second)
        if second < since or second % POLL_S:
            continue
        now = NOW + second
        clock = observation.clock_of(pipeline, job.told, memory, 0.0, now, looked_at)
        memory.clocks[1], looked_at = clock, now
        found = observation.observed(pipeline, job.told, memory, 0.0, now)
        assert (found.beat is None) == (job.seq == 0)
        if job.seq:
            check(second, found)


# The age of what a poll shows: an interval of heartbeats and one of polls, and the longest sleeps.
LATE_S = BEAT_S + POLL_S + 50


@given(jobs())
def test_no_clock_of_a_job_makes_a_time_untrue(case: tuple[Job, int]) -> None:
    job, length = case

    def check(second: int, seen: JobObservation) -> None:
        assert seen.beat is not None and seen.beat.active_at is not None
        assert job.truly_sent <= seen.beat.at <= max(job.truly_sent + POLL_S, NOW + POLL_S)
        assert abs(seen.beat.active_at - job.truly_active) <= LATE_S
        if seen.saved_at is not None and job.truly_saved is not None:
            assert abs(seen.saved_at - job.truly_saved) <= LATE_S + 30

    watch(job, length, check)


@given(jobs())
def test_no_clock_of_a_job_makes_a_dead_one_look_alive_or_a_live_one_idle_or_late(
    case: tuple[Job, int],
) -> None:
    job, length = case
    attempt = Attempt("a", "w", 1, 1, intended_at=NOW - 60, launched_at=NOW - 60)
    policy = Policy(idle_minutes=IDLE_MINUTES)
    decisions: list[tuple[int, Cancel]] = []

    def check(second: int, seen: JobObservation) -> None:
        now = NOW + second
        observed = Observation(now, True, NOW, (seen,))
        decision = decide(workspace(policy=policy), [attempt], observed, now)
        if isinstance(decision, Cancel):
            decisions.append((second, decision))

    watch(job, length, check)
    idle_from = min(length, job.uses_until, job.dies_at or length) + IDLE_MINUTES * 60
    dead_from = length if job.dies_at is None else job.dies_at
    for second, decision in decisions:
        if decision.autostop:
            assert second >= idle_from - LATE_S, "it was used until then"
        else:
            assert second >= dead_from + policy.dead_s - LATE_S, "it lived"
    if job.seq and dead_from + policy.dead_s + LATE_S < length:
        assert decisions, "it is dead"


@given(st.integers(-DAY_S, DAY_S), st.integers(0, 300), st.integers(30, 400))
def test_a_clock_that_is_only_wrong_is_right_from_the_first_poll_on(off: int, since: int, uses: int) -> None:
    job = Job(off, {}, frozenset(), None, uses)

    def check(second: int, seen: JobObservation) -> None:
        assert seen.beat is not None and seen.beat.active_at is not None
        assert abs(seen.beat.active_at - job.truly_active) <= BEAT_S + POLL_S
        if seen.saved_at is not None and job.truly_saved is not None:
            assert abs(seen.saved_at - job.truly_saved) <= BEAT_S + POLL_S + 30

    watch(job, 400, check, since=since)


class TestSpan:
    def clock(self, span: Span, reading: float, now: float = NOW, **told: float) -> job_clock.JobClock:
        return job_clock.seen(None, (1, 0.0), reading, told, now, None, span)

    def test_nothing_is_from_before_its_job_or_after_its_end(self) -> None:
        ended = Span(NOW - 1000, NOW - 500, is_final=True)
        clock = self.clock(ended, 5000.0, saved=4990.0, started=0.0, ready=9000.0)
        assert (clock.at, clock.instant("saved")) == (NOW - 500, NOW - 510)
        assert (clock.instant("started"), clock.instant("ready")) == (NOW - 1000, NOW - 500)
        assert clock.instant("active") is None

    def test_a_job_that_told_its_end_needs_no_doubt(self) -> None:
        slow = NOW - 4000.0
        told = self.clock(Span(NOW - 9000, NOW - 500, is_final=True), slow, saved=slow - 10)
        killed = self.clock(Span(NOW - 9000, NOW - 500), slow, saved=slow - 10)
        assert told.at_most("saved", 0.0) == NOW - 510
        assert killed.at_most("saved", 0.0) == slow - 10, "nobody knows when it last told something"

    def test_a_poll_that_shows_nothing_new_changes_nothing(self) -> None:
        first = self.clock(Span(), 5.0, saved=3.0)
        again = job_clock.seen(first, (1, 0.0), 5.0, {"saved": 3.0}, NOW + 15, NOW, Span())
        assert again is first
