"""The saved state that the next job is to find."""

from __future__ import annotations

from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat
from wsdash.backend.providers.gitlab.observe import saved_state


class TestStates:
    def saved_last(self, *output: tuple[int, str, dict[str, str]]) -> str:
        return saved_state.saved_last(
            Heartbeat("w", f"a{n}", n, 1, 5, state, 7, {"started": "1", **facts})
            for n, state, facts in output
        )

    def test_the_state_that_was_saved_last_is_what_the_next_job_is_to_find(self) -> None:
        first = (1, "cancelled", {"from": "0.0", "state": "1.1"})
        killed = (2, "ready", {"from": "1.1"})
        assert self.saved_last() == "no"
        assert self.saved_last(first) == "1.1"
        assert self.saved_last(first, killed) == "1.1"
        assert self.saved_last(first, killed, (3, "deadline", {"from": "1.1", "state": "3.1"})) == "3.1"

    def test_a_state_that_did_not_come_is_missed_once(self) -> None:
        first = (1, "cancelled", {"from": "0.0", "state": "1.1"})
        second = (2, "cancelled", {"from": "1.1", "state": "2.1"})
        assert self.saved_last(first, (2, "ready", {"from": "0.0", "cache": "missed"})) == "no"
        assert self.saved_last(first, second, (3, "ready", {"from": "1.1", "cache": "older"})) == "1.1"

    def test_a_job_of_an_older_wsdash_has_saved_a_state_without_a_number(self) -> None:
        assert self.saved_last((1, "cancelled", {})) == "yes"
        assert self.saved_last((1, "queued", {})) == "no"
        assert self.saved_last((1, "cancelled", {"import": "missed"})) == "no"

    def test_what_is_no_number_is_none(self) -> None:
        assert self.saved_last((1, "cancelled", {"from": "0.0", "state": "1.1.1"})) == "no"
