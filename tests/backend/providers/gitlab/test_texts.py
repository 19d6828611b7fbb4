"""What wsdash writes to GitLab and reads from it again: names, records, budgets, logs, times. Untrusted when read."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.clone_address import taken_out
from wsdash.backend.providers.gitlab.api.models import Pipeline, Version
from wsdash.backend.providers.gitlab.api.rate_limit import State, next_state
from wsdash.backend.providers.gitlab.ci import pipeline_name
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat, name_of, parse
from wsdash.backend.providers.gitlab.ci.record import SIGN, Record, RecordError, message_of, record_of
from wsdash.backend.providers.gitlab.ci.record import Volume as RunnerVolume
from wsdash.backend.providers.gitlab.ci.timeouts import timeouts
from wsdash.backend.providers.gitlab.observe import job_log, observation, saved_state
from wsdash.backend.providers.gitlab.observe.failure_reasons import reason_of
from wsdash.backend.providers.gitlab.observe.observation import Detail, HeartbeatSeen, Memory
from wsdash.model import Cause, JobObservation, JobState, Policy, UnsavedTotals
from wsdash.workload import Command, EnvVar, Parallel, Sequential, Source, Volume, Workload

NOW = 1_800_000_000.0
ids = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
beats = st.builds(
    Heartbeat,
    workspace_id=ids,
    attempt_id=ids,
    number=st.integers(1, 10**6),
    generation=st.integers(1, 10**6),
    at=st.integers(0, 10**10),
    state=st.sampled_from(sorted(pipeline_name.STATES)),
    seq=st.integers(0, 10**9),
    facts=st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), ids, max_size=4),
)
commands = st.builds(Command, st.text(max_size=5), st.text(max_size=9), st.none() | st.text(max_size=5))
steps = st.recursive(
    commands,
    lambda inner: (
        st.builds(Sequential, st.text(max_size=3), st.lists(inner, max_size=2).map(tuple))
        | st.builds(Parallel, st.text(max_size=3), st.lists(inner, max_size=2).map(tuple))
    ),
    max_leaves=4,
)
workloads = st.builds(
    Workload,
    image=st.none() | st.text(max_size=9),
    env=st.lists(st.builds(EnvVar, st.text(max_size=5), st.text(max_size=9)), max_size=3).map(tuple),
    source=st.none() | st.builds(Source, st.text(max_size=9)),
    post_start=st.lists(steps, max_size=3).map(tuple),
    volumes=st.lists(st.builds(Volume, st.text(max_size=5), st.text(max_size=5)), max_size=2).map(tuple),
)
RECORD = Record(
    id="w1",
    name="demo",
    source_url="https://gitlab.example.com/group/app.git",
    ref="main",
    devfile_path="devfile.yaml",
    policy=Policy(max_hours=3.0),
    created_at=NOW,
    user="ada",
    host="jump",
    store="0a0a0a0a",
    workload=Workload(),
)
ELSEWHERE = json.dumps(
    {"format": 1, **asdict(replace(RECORD, volume=RunnerVolume("/x/../$HOME", ("t",))))}
).encode()


@given(beats)
def test_a_pipelines_name_says_what_the_heartbeat_is(beat: Heartbeat) -> None:
    name = name_of(beat)
    assert len(name) <= pipeline_name.LONGEST
    assert parse(name) == beat


@given(st.text() | beats.map(lambda beat: name_of(beat)[:-3] + "\x1b"))
def test_any_other_name_is_no_heartbeat_or_a_sound_one(name: str) -> None:
    beat = parse(name)
    assert beat is None or parse(name_of(beat)) == beat


@given(workloads)
def test_a_record_comes_back_whole(workload: Workload) -> None:
    workload, _ = taken_out(workload)
    record = replace(RECORD, workload=workload, volume=RunnerVolume("/wsdash", ("big",)), image="debian")
    message = message_of(record)
    assert "[skip ci]" in message.splitlines()[0]
    assert record_of(message) == record


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ("", "cut off"),
        ("!!!", "cut off"),
        ("AAAA", "damaged"),
        (base64.urlsafe_b64encode(zlib.compress(b"[]")).decode(), "another version"),
        (base64.urlsafe_b64encode(zlib.compress(b'{"format": 2}')).decode(), "another version"),
        (base64.urlsafe_b64encode(zlib.compress(b'{"format": 1}')).decode(), "does not say"),
        (base64.urlsafe_b64encode(zlib.compress(bytes(50_000_000))).decode(), "larger"),
        (base64.urlsafe_b64encode(zlib.compress(ELSEWHERE)).decode(), "where none can be"),
        ("x" * 300_000, "longer"),
    ],
)
def test_a_record_that_is_none_says_why(payload: str, words: str) -> None:
    with pytest.raises(RecordError, match=words):
        record_of(f"x\n\n{SIGN}{payload}\n")


@given(st.binary(max_size=300))
def test_no_record_does_harm(data: bytes) -> None:
    packed = base64.urlsafe_b64encode(zlib.compress(data)).decode()
    with pytest.raises(RecordError):
        record_of(f"{SIGN}{packed}")


@given(st.floats(20, 40 * 86400))
def test_a_job_ends_itself_before_the_runner_does_and_the_runner_before_gitlab(job_s: float) -> None:
    limits = timeouts(job_s)
    assert 0 < limits.deadline < limits.script < limits.job
    assert limits.script + limits.after_script < limits.job


def test_a_time_limit_that_leaves_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves no time"):
        timeouts(5)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("script_failure", Cause.USER_CODE),
        ("runner_system_failure", Cause.RUNNER_LOST),
        ("stuck_or_timeout_failure", Cause.RUNNER_LOST),
        ("no_updates_running", Cause.RUNNER_LOST),
        ("job_execution_timeout", Cause.TIMEOUT),
        ("runner_external_dependency_failure", Cause.IMAGE),
        ("ci_quota_exceeded", Cause.QUOTA),
        ("stuck_pending_no_matching_runners", Cause.NO_RUNNER),
        ("stuck_pending_with_matching_runners", Cause.QUEUE),
        ("user_blocked", Cause.PERMISSION),
        ("runner_configuration_error", Cause.CONFIGURATION),
        ("something_new_in_gitlab_25", Cause.RUNNER_LOST),
        (None, Cause.RUNNER_LOST),
    ],
)
def test_each_reason_of_gitlab_has_its_class_and_a_new_one_is_tried_again(
    name: str | None, cause: Cause
) -> None:
    assert reason_of(name).cause is cause
    assert reason_of(name).text


def test_versions_are_compared_by_their_numbers() -> None:
    assert Version(version="18.1.0-ee").parts == (18, 1)
    assert Version(version="19.4.1-pre").parts > Version(version="9.5").parts
    assert Version(version="strange").parts == (0, 0)


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


class TestHeartbeats:
    beat = Heartbeat("w", "a", 1, 1, int(NOW) - 5, "ready", 7, {"started": str(int(NOW) - 100)})
    pipeline = Pipeline(id=1, status="running", ref="wsdash/w", created_at=NOW - 200, updated_at=NOW - 100)

    def seen(self, beat: Heartbeat, sighting: HeartbeatSeen | None = None, skew: float = 0.0) -> float | None:
        memory = Memory(sightings={} if sighting is None else {1: sighting})
        job = observation.observed(self.pipeline, beat, memory, skew, NOW)
        return None if job.beat is None else job.beat.at

    def test_its_age_is_that_of_the_jobs_clock_put_on_ours(self) -> None:
        assert self.seen(self.beat) == NOW - 5
        assert self.seen(replace(self.beat, at=int(NOW) - 65), skew=60.0) == NOW - 5

    def test_a_clock_that_is_ahead_does_not_keep_a_dead_job_alive(self) -> None:
        assert self.seen(replace(self.beat, at=int(NOW) + 5000)) == NOW

    def test_a_clock_that_is_behind_does_not_kill_a_live_job(self) -> None:
        behind = replace(self.beat, at=int(NOW) - 3600)
        assert self.seen(behind, HeartbeatSeen(7, NOW - 3)) == NOW - 3

    def test_a_heartbeat_is_news_only_when_its_number_is_another(self) -> None:
        first = observation.sighted(None, self.beat, NOW)
        assert first == HeartbeatSeen(7, None)
        assert observation.sighted(first, self.beat, NOW + 30) == first
        assert observation.sighted(first, replace(self.beat, seq=8), NOW + 30) == HeartbeatSeen(8, NOW + 30)

    def test_before_the_first_sign_of_life_no_heartbeat_is_owed(self) -> None:
        job = observation.observed(self.pipeline, Heartbeat("w", "a", 1, 1), Memory(), 0.0, NOW)
        assert (job.state, job.started_at, job.beat) == (JobState.STARTING, None, None)

    def test_a_status_that_nobody_knows_is_taken_for_alive(self) -> None:
        assert observation.is_live(self.pipeline.model_copy(update={"status": "hibernating"}))


FETCH_FAILED = (
    b"Running with gitlab-runner 19.4.0\n"
    b'section_start:1764515053:step_script\r\x1b[0K\x1b[36;1mExecuting "step_script" stage\x1b[0;m\n'
    b"\x1b[32;1m$ sh .wsdash/gitlab.sh start\x1b[0;m\n"
    b'wsdash/1 step {"phase":"fetch","state":"start","at":1}\r\x1b[0K'
    b"wsdash: cloning https://git.example.com/x.git\n"
    b'wsdash/1 beat {"at":2,"active":}\n'
    b"fatal: could not read Username for 'https://git.example.com': terminal prompts disabled\n"
    b'wsdash/1 step {"phase":"fetch","state":"end","at":3,"exit":78}\r\x1b[0K'
    b"section_end:1764515054:step_script\r\x1b[0K"
    b"section_start:1764515054:archive_cache\r\x1b[0KSaving cache for failed job\n"
    b"Creating cache wsdash-d1e2...\nCreated cache\n"
    b"section_end:1764515055:archive_cache\r\x1b[0KCleaning up project directory\n"
    b"ERROR: Job failed: exit status 78\n"
)
KILLED = (
    b"section_start:1764515053:step_script\r\x1b[0KExecuting\n"
    b"\x1b[32;1m$ sh .wsdash/gitlab.sh start\x1b[0;m\n"
    b"server listens\nwsdash: The job connects to your machine: wsdash ssh can enter the workspace.\n"
    b"section_end:1764515054:step_script\r\x1b[0K"
    b"Cleaning up project directory and file based variables\nERROR: Job failed: exit code 137\n"
)


def stamped(log: bytes) -> bytes:
    """As GitLab Runner writes it with FF_TIMESTAMPS: a carriage return ends what it writes at once."""
    at = b"2026-11-30T15:04:13.212613Z 00O"
    parts = log.replace(b"\r\x1b[0K", b"\r\x1b[0K\n+").split(b"\n")
    return b"".join(
        at + (part[:1] if part[:1] == b"+" else b" ") + part.removeprefix(b"+") + b"\n"
        for part in parts
        if part
    )


@pytest.mark.parametrize("as_written", [lambda log: log, stamped], ids=["plain", "with timestamps"])
def test_the_reason_of_a_failed_step_is_what_the_step_said_and_not_what_the_runner_adds(
    as_written: Callable[[bytes], bytes],
) -> None:
    log = as_written(FETCH_FAILED)
    told = job_log.read(log)
    assert (
        told.tail == "fatal: could not read Username for 'https://git.example.com': terminal prompts disabled"
    )
    assert told.exit_code == 78
    (fetch,) = told.steps
    assert b"fatal: could" in log[fetch.log_start : fetch.log_end]
    assert b"section" not in log[fetch.log_start : fetch.log_end]


@pytest.mark.parametrize("as_written", [lambda log: log, stamped], ids=["plain", "with timestamps"])
def test_a_job_that_was_killed_says_so_and_its_own_last_words(as_written: Callable[[bytes], bytes]) -> None:
    told = job_log.read(as_written(KILLED))
    detail = observation.Detail(tail=told.tail, exit_code=told.exit_code, failure_reason="script_failure")
    memory = observation.Memory(details={7: detail})
    failed = Pipeline.model_validate(
        {"id": 7, "status": "failed", "ref": "wsdash/w", "sha": "0", "web_url": ""}
    )
    job = observation.observed(failed, Heartbeat("w", "a", 1, 1, state=pipeline_name.READY), memory, 0.0, NOW)
    assert (job.cause, job.exit_code) == (Cause.KILLED, 137)
    assert job.message == "server listens\nkilled by signal 9"


def test_what_the_runner_says_counts_where_no_script_ran() -> None:
    log = b"Preparing the docker executor\nERROR: Job failed: failed to pull image x: manifest unknown\n"
    assert (job_log.read(log).tail or "").endswith("failed to pull image x: manifest unknown")


class TestEnd:
    beat = Heartbeat(
        "w", "a", 1, 1, int(NOW) - 5, "cancelled", 7, {"started": "1", "saved": str(int(NOW) - 90)}
    )

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
        told = (job.message or "").splitlines()[-1]
        assert "set timeout_s of the context" in told
        assert "kept by a checkpoint of 90 s before" in told

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
            assert ("the cache stays as it was" in (job.warning or "")) is not is_saved


class TestStates:
    def saved_last(self, *told: tuple[int, str, dict[str, str]]) -> str:
        return saved_state.saved_last(
            Heartbeat("w", f"a{n}", n, 1, 5, state, 7, {"started": "1", **facts}) for n, state, facts in told
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


def test_a_log_tells_of_steps_and_its_last_words_without_control_sequences() -> None:
    log = (
        b"section_start:1:x\r\x1b[0K$ sh\n"
        b'wsdash/1 step {"phase":"postStart","command":"one","state":"start","at":5}\n'
        b"\x1b[31mred\x1b[0m output\n"
        b'progresswsdash/1 step {"phase":"postStart","command":"one","state":"end","at":9,"exit":3}\n'
        b'wsdash/1 ready {}\r\x1b[0Kwsdash/1 beat {"at":11}\r\x1b[0KERROR: Job failed\n'
    )
    told = job_log.read(log)
    (step,) = told.steps
    assert (step.command, step.started_at, step.ended_at, step.exit_code) == ("one", 5, 9, 3)
    assert b"red" in log[step.log_start : step.log_end]
    assert (told.ready_at, told.beat_at) == (9, 11)
    assert told.tail == "$ sh\nred output\nprogress\nERROR: Job failed"


def test_a_log_tells_that_a_runner_has_its_caches_to_itself() -> None:
    said = b"\x1b[0;33mNo URL provided, cache will not be downloaded from shared cache server."
    assert job_log.read(said + b" Instead a local version\x1b[0m\n").cache_is_local
    assert not job_log.read(b"Downloading cache from https://cache.example/1\n").cache_is_local


@given(
    st.lists(
        st.sampled_from([b"wsdash/1 ", b"step ", b"{", b'"at":1', b"}", b"\n", b"\r", b"\xff", b"\x1b["])
    )
)
def test_no_log_does_harm(parts: list[bytes]) -> None:
    told = job_log.read(b"".join(parts))
    assert "\x1b" not in (told.tail or "")


def test_the_record_is_one_line_of_json_that_others_can_read() -> None:
    line = message_of(RECORD).splitlines()[2].removeprefix(SIGN)
    values = json.loads(zlib.decompress(base64.urlsafe_b64decode(line)))
    assert (values["name"], values["user"], values["host"]) == ("demo", "ada", "jump")
