"""A pipeline and its heartbeat as an observation of a job."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wsdash.backend.providers.gitlab.api.models import Pipeline
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat
from wsdash.backend.providers.gitlab.observe import observation
from wsdash.backend.providers.gitlab.observe.observation import Detail, Memory
from wsdash.model import Cause, JobObservation, JobState, UnsavedTotals

NOW = 1_800_000_000.0


class TestHeartbeats:
    beat = Heartbeat("w", "a", 1, 1, int(NOW) - 5, "ready", 7, {"started": str(int(NOW) - 100)})
    pipeline = Pipeline(id=1, status="running", ref="wsdash/w", created_at=NOW - 200, updated_at=NOW - 100)

    def at(self, *polls: tuple[Heartbeat, float], skew: float = 0.0) -> float | None:
        """The heartbeat's time after these polls, each with what it saw and its time."""
        memory, looked_at, found = Memory(), None, None
        for beat, now in polls:
            clock = observation.clock_of(self.pipeline, beat, memory, skew, now, looked_at)
            memory.clocks[1], looked_at = clock, now
            found = observation.observed(self.pipeline, beat, memory, skew, now).beat
        return None if found is None else found.at

    @pytest.mark.parametrize("off", [-86400, -600, 0, 600, 86400])
    def test_it_is_as_old_as_its_first_sight_whatever_the_jobs_clock_says(self, off: int) -> None:
        first = replace(self.beat, at=int(NOW) + off)
        second = replace(first, at=int(NOW) + off + 30, seq=8)
        assert self.at((first, NOW), (first, NOW + 15), (second, NOW + 30), (second, NOW + 60)) == NOW + 30

    def test_one_that_no_other_follows_is_no_newer_than_it_says(self) -> None:
        old = replace(self.beat, at=int(NOW) - 3600)
        assert self.at((old, NOW), (old, NOW + 15)) == NOW
        assert self.at((old, NOW), (old, NOW + 100)) == NOW - 3600
        assert self.at((old, NOW), (old, NOW + 100), skew=60.0) == NOW - 3540
        ahead = replace(self.beat, at=int(NOW) + 5000)
        assert self.at((ahead, NOW), (ahead, NOW + 100)) == NOW, (
            "a clock that is ahead keeps no dead job alive"
        )

    def test_before_the_first_sign_of_life_no_heartbeat_is_owed(self) -> None:
        job = observation.observed(self.pipeline, Heartbeat("w", "a", 1, 1), Memory(), 0.0, NOW)
        assert (job.state, job.started_at, job.beat) == (JobState.STARTING, None, None)

    def test_an_ssh_server_that_is_away_is_said(self) -> None:
        beat = replace(self.beat, facts={**self.beat.facts, "ssh": "down"})
        job = observation.observed(self.pipeline, beat, Memory(), 0.0, NOW)
        assert job.warning is not None and "SSH server has ended" in job.warning

    def test_a_job_whose_heartbeats_were_cut_off_with_its_log_is_not_dead(self) -> None:
        beat = replace(self.beat, facts={**self.beat.facts, "via": "none"})
        for is_cut, last in ((False, NOW + 60), (True, NOW + 3600)):
            memory = Memory(details={1: Detail(beat_at=self.beat.at, log_is_cut=is_cut)})
            memory.clocks[1] = observation.clock_of(self.pipeline, beat, memory, 0.0, NOW)
            job = observation.observed(self.pipeline, beat, memory, 0.0, NOW + 3600)
            assert job.beat is not None and job.beat.at == last
            assert ("has reached its runner's limit" in (job.warning or "")) is is_cut

    def test_a_log_that_shows_secrets_is_told(self) -> None:
        beat = replace(self.beat, facts={**self.beat.facts, "debug": "trace"})
        job = observation.observed(self.pipeline, beat, Memory(), 0.0, NOW)
        assert job.warning is not None and "CI_DEBUG_TRACE is set" in job.warning

    def test_a_status_that_nobody_knows_is_taken_for_alive(self) -> None:
        assert observation.is_live(self.pipeline.model_copy(update={"status": "hibernating"}))


class TestEnd:
    beat = Heartbeat("w", "a", 1, 1, int(NOW), "cancelled", 7, {"started": "1", "saved": str(int(NOW) - 90)})

    def end(self, status: str, reason: str | None, beat: Heartbeat) -> JobObservation:
        pipeline = Pipeline.model_validate(
            {"id": 1, "status": status, "sha": "0", "ref": "wsdash/w", "web_url": "x", "updated_at": None}
        )
        memory = Memory(details={1: Detail(failure_reason=reason, ended_at=NOW, tail="last words")})
        return observation.observed(pipeline, beat, memory, 0.0, NOW)

    @pytest.mark.parametrize(
        ("said", "left"),
        [
            ("1.0.2", UnsavedTotals(1, 0, 2)),
            ("0.0.0", UnsavedTotals()),
            ("0.0.1.more", UnsavedTotals(files=1, is_whole=False)),
            ("0.0", None),
            ("-1.0.0", None),
            ("1.0.2.3", None),
        ],
    )
    def test_it_says_what_only_its_files_had(self, said: str, left: UnsavedTotals | None) -> None:
        assert self.end("canceled", None, replace(self.beat, facts={"left": said})).left == left
        running = replace(self.beat, state="ready", facts={"left": said})
        assert self.end("running", None, running).left is None, "it may write more"

    @pytest.mark.parametrize("state", ["cancelled", "deadline", "ready", "user-code"])
    def test_a_limit_that_struck_outranks_what_the_job_took_it_for(self, state: str) -> None:
        job = self.end("failed", "job_execution_timeout", replace(self.beat, state=state))
        assert (job.cause, job.exit_code) == (Cause.TIMEOUT, None)
        output = (job.message or "").splitlines()[-1]
        assert "set timeout_s of the context" in output
        assert "in a checkpoint of 90 s before" in output

    def test_so_does_a_runner_that_failed(self) -> None:
        assert self.end("failed", "runner_system_failure", self.beat).cause is Cause.RUNNER_LOST

    def test_a_command_that_failed_is_what_the_job_says_of_it(self) -> None:
        for state, cause in (("source", Cause.SOURCE), ("cancelled", Cause.CANCELLED)):
            found = self.end("failed", "script_failure", replace(self.beat, state=state))
            assert found.cause is cause
        assert self.end("success", None, replace(self.beat, state="deadline")).cause is Cause.DEADLINE

    def test_a_job_that_has_ended_has_saved_what_it_says_it_has(self) -> None:
        for facts, is_saved in (
            ({"from": "1.1", "state": "2.1"}, True),
            ({"from": "1.1"}, False),  # its after_script did not come so far
            ({"from": "1.1", "cache": "unsaved"}, False),
            ({"from": "0.0", "cache": "missed", "state": "2.1"}, True),
            ({}, True),  # of an older wsdash
        ):
            job = self.end("success", None, replace(self.beat, facts={"started": "1", **facts}))
            assert job.saves_on_exit is is_saved
            assert ("the cache keeps the previous one" in (job.warning or "")) is not is_saved
