"""A job's progress from the messages that it prints. Untrusted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.job.protocol import Message
from wsdash.backend.providers.local.supervisor.progress import MOST_STEPS, Progress, beat_record

fields = st.dictionaries(
    st.sampled_from(["phase", "command", "state", "exit", "at", "cause", "message", "load", "memory"]),
    st.none()
    | st.integers()
    | st.floats()
    | st.sampled_from(["start", "end", "a", "b"])
    | st.text(max_size=300),
)


messages = st.builds(Message, st.sampled_from(["step", "ready", "end", "beat"]), fields)


@given(sent=st.lists(messages, max_size=30))
def test_no_message_breaks_what_is_known_of_a_job(sent: list[Message]) -> None:
    progress = Progress()
    progress.state = "running"
    for number, message in enumerate(sent):
        before = str(progress.record())
        assert progress.apply(message, float(number), number) == (str(progress.record()) != before)
        beat_record(message, 0.0, None, None)
    for step in progress.steps:
        ended, code = step["ended_at"], step["exit_code"]
        assert (ended is None) == (code is None)
        assert isinstance(step["phase"], str) and 0 < len(step["phase"]) <= 80


@pytest.mark.parametrize("clock", [0.0, 7_000.0, 1_900_000_000.0])
def test_the_last_activity_is_as_old_as_the_job_says_whatever_its_clock(clock: float) -> None:
    message = Message("beat", {"at": clock + 100, "active": clock + 40})
    assert beat_record(message, 1_700_000_000.0, None, None)["active_at"] == 1_700_000_000.0 - 60
    ahead = Message("beat", {"at": clock, "active": clock + 40})
    assert beat_record(ahead, 1_700_000_000.0, None, None)["active_at"] == 1_700_000_000.0
    assert beat_record(Message("beat", {"at": clock}), 1.0, None, None)["active_at"] is None


def test_the_same_step_may_run_twice_and_each_end_is_its_own() -> None:
    progress = Progress()
    for at, state in enumerate(("start", "end", "start")):
        progress.apply(Message("step", {"phase": "p", "state": state, "exit": 1}), float(at), at * 10)
    assert [(s["exit_code"], s["log_start"], s["log_end"]) for s in progress.steps] == [
        (1, 0, 10),
        (None, 20, None),
    ]


def test_steps_without_end_are_bounded() -> None:
    progress = Progress()
    for number in range(MOST_STEPS + 10):
        progress.apply(Message("step", {"phase": str(number), "state": "start"}), 0.0, 0)
    assert len(progress.steps) == MOST_STEPS


def test_a_job_is_not_ready_before_it_runs() -> None:
    progress = Progress()
    assert not progress.apply(Message("ready", {}), 1.0, 0)
    assert progress.ready_at is None
