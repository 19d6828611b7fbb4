"""The waits of requests for GitLab's rate limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.providers.gitlab.api.rate_limit import State, next_state

NOW = 1_800_000_000.0


class TestTheBudget:
    def test_retry_after_is_honoured_as_seconds_and_as_a_date(self) -> None:
        assert next_state(State(), 429, {"retry-after": "30"}, NOW, 0.5).not_before == NOW + 30
        date = {"retry-after": "Fri, 15 Jan 2027 08:01:00 GMT"}
        assert next_state(State(), 429, date, NOW, 0.5).not_before == pytest.approx(NOW + 60)

    def test_a_reset_is_an_instant_of_the_servers_clock_and_no_duration(self) -> None:
        headers = {"ratelimit-reset": str(int(NOW) + 1000), "date": "Fri, 15 Jan 2027 08:10:00 GMT"}
        assert next_state(State(), 429, headers, NOW, 0.5).not_before == pytest.approx(NOW + 400)

    def test_a_limit_that_says_nothing_is_met_by_longer_and_longer_waits(self) -> None:
        state, waits = State(), []
        for _ in range(8):
            state = next_state(state, 429, {}, NOW, 0.5)
            waits.append(state.not_before - NOW)
        assert waits == sorted(waits) and waits[0] == 15 and waits[-1] == 300
        assert next_state(state, 200, {}, NOW, 0.5).refusals == 0

    def test_when_few_requests_are_left_looks_wait_and_users_do_not(self) -> None:
        headers = {
            "ratelimit-limit": "600",
            "ratelimit-remaining": "9",
            "ratelimit-reset": str(int(NOW) + 50),
        }
        state = next_state(State(), 200, headers, NOW, 0.5)
        assert state.not_before == 0 and state.looks_not_before == pytest.approx(NOW + 5)

    @given(
        st.dictionaries(
            st.sampled_from(
                ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "date"]
            ),
            st.text(max_size=12) | st.integers().map(str),
        ),
        st.sampled_from([200, 429]),
    )
    def test_no_header_makes_anybody_wait_for_ever(self, headers: dict[str, str], status: int) -> None:
        state = next_state(State(), status, headers, NOW, 0.5)
        assert max(state.not_before, state.looks_not_before) <= NOW + 3600
