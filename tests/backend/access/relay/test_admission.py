"""Many want to log in at once: those that go on are let in, whoever holds the places without doing so."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.access.relay.admission import (
    LOGIN_RATE_S,
    MOST_LOGINS_OF_ATTEMPT,
    RESERVED_FILES,
    STEP_S,
    Limits,
    LoginRate,
    Logins,
)


@dataclass
class Caller:
    host: str
    progress: int = 0


@given(st.integers(0, 2_000_000))
def test_what_may_be_held_fits_into_the_files_that_may_be_open(files: int) -> None:
    limits = Limits.of(files)
    held = limits.logins + 2 * limits.tunnels
    assert held > 0
    assert held + limits.sessions <= max(files - RESERVED_FILES, 24)
    assert limits.tunnels >= 2
    assert 1 < limits.logins_of_host <= max(limits.logins, 2)


LIMITS = Limits(tunnels=10, logins=6, logins_of_host=4, sessions=10)


def test_the_one_that_has_not_gone_on_for_the_longest_time_makes_room() -> None:
    logins = Logins(LIMITS)
    first, second, *others = [Caller("a") for _ in range(4)]
    for at, caller in enumerate([first, second, *others]):
        assert logins.begin(caller, float(at)) is None
    first.progress = 1
    assert logins.begin(Caller("a"), 10.0) is second


def test_one_that_has_come_far_but_is_slow_outlives_those_that_say_nothing() -> None:
    """On a busy machine a step may take longer than a second."""
    logins = Logins(LIMITS)
    job = Caller("a")
    assert logins.begin(job, 0.0) is None
    job.progress = 2
    for at in range(1, 200):
        ended = logins.begin(Caller("a"), at / 2)
        assert ended is not job
        if ended is not None:
            logins.end(ended)


def test_a_host_that_holds_its_places_takes_none_of_another() -> None:
    logins = Logins(LIMITS)
    flood = [Caller("a") for _ in range(20)]
    for caller in flood:
        if ended := logins.begin(caller, 0.0):
            logins.end(ended)
    assert logins.begin(Caller("b"), 0.0) is None


def test_those_that_go_on_are_ended_for_nobody() -> None:
    """Two hundred jobs that connect at once after a crash of the relay."""
    logins = Logins(LIMITS)
    for _ in range(4):
        assert logins.begin(Caller("a"), 0.0) is None
    late = Caller("a")
    assert logins.begin(late, STEP_S / 2) is late
    assert len(logins) == 4


@pytest.mark.parametrize("a_second", [50, 500])
def test_under_a_flood_from_its_own_address_a_job_gets_in_within_seconds(a_second: int) -> None:
    logins = Logins(Limits.of(256))
    job: Caller | None = None
    admitted_at = None
    for tick in range(60 * a_second):
        now = tick / a_second
        ended = logins.begin(other := Caller("a"), now)
        if ended is not None and ended is not other:
            assert ended is not job
            logins.end(ended)
        if job is None and tick % (a_second // 4 + 1) == 0:  # it reconnects again and again
            ended = logins.begin(candidate := Caller("a"), now)
            if ended is not candidate:
                job, admitted_at = candidate, now
                if ended is not None:
                    logins.end(ended)
        elif job is not None:
            job.progress += 1
            if now - (admitted_at or 0.0) > 2.0:
                break
    assert admitted_at is not None
    assert admitted_at < 30


def test_an_attempt_that_logs_in_too_often_waits_and_others_do_not() -> None:
    login_rate = LoginRate()
    for at in range(MOST_LOGINS_OF_ATTEMPT):
        assert not login_rate.too_many("a", float(at))
        login_rate.note("a", float(at))
    assert login_rate.too_many("a", float(MOST_LOGINS_OF_ATTEMPT))
    assert not login_rate.too_many("b", float(MOST_LOGINS_OF_ATTEMPT))
    assert not login_rate.too_many("a", LOGIN_RATE_S + 1)
