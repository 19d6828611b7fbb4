"""Steps, last words and heartbeats in a job's log. Untrusted when read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.providers.gitlab.api.models import Pipeline
from wsdash.backend.providers.gitlab.ci import pipeline_name
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat
from wsdash.backend.providers.gitlab.observe import job_log, observation
from wsdash.model import Cause

NOW = 1_800_000_000.0


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
    output = job_log.read(log)
    assert (
        output.tail
        == "fatal: could not read Username for 'https://git.example.com': terminal prompts disabled"
    )
    assert output.exit_code == 78
    (fetch,) = output.steps
    assert b"fatal: could" in log[fetch.log_start : fetch.log_end]
    assert b"section" not in log[fetch.log_start : fetch.log_end]


@pytest.mark.parametrize("as_written", [lambda log: log, stamped], ids=["plain", "with timestamps"])
def test_a_job_that_was_killed_says_so_and_its_own_last_words(as_written: Callable[[bytes], bytes]) -> None:
    output = job_log.read(as_written(KILLED))
    detail = observation.Detail(tail=output.tail, exit_code=output.exit_code, failure_reason="script_failure")
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


def test_a_log_tells_of_steps_and_its_last_words_without_control_sequences() -> None:
    log = (
        b"section_start:1:x\r\x1b[0K$ sh\n"
        b'wsdash/1 step {"phase":"postStart","command":"one","state":"start","at":5}\n'
        b"\x1b[31mred\x1b[0m output\n"
        b'progresswsdash/1 step {"phase":"postStart","command":"one","state":"end","at":9,"exit":3}\n'
        b'wsdash/1 ready {}\r\x1b[0Kwsdash/1 beat {"at":11}\r\x1b[0KERROR: Job failed\n'
    )
    output = job_log.read(log)
    (step,) = output.steps
    assert (step.command, step.started_at, step.ended_at, step.exit_code) == ("one", 5, 9, 3)
    assert b"red" in log[step.log_start : step.log_end]
    assert (output.ready_at, output.beat_at) == (9, 11)
    assert output.tail == "$ sh\nred output\nprogress\nERROR: Job failed"


def test_a_log_tells_that_a_runner_has_its_caches_to_itself() -> None:
    text = b"\x1b[0;33mNo URL provided, cache will not be downloaded from shared cache server."
    assert job_log.read(text + b" Instead a local version\x1b[0m\n").cache_is_local
    assert not job_log.read(b"Downloading cache from https://cache.example/1\n").cache_is_local


@given(
    st.lists(
        st.sampled_from([b"wsdash/1 ", b"step ", b"{", b'"at":1', b"}", b"\n", b"\r", b"\xff", b"\x1b["])
    )
)
def test_no_log_does_harm(parts: list[bytes]) -> None:
    output = job_log.read(b"".join(parts))
    assert "\x1b" not in (output.tail or "")


def test_a_log_that_its_runner_has_cut_names_that_and_not_the_runners_words() -> None:
    cut = b"x\n\n\x1b[33;1mJob's log exceeded limit of 65536 bytes.\n"
    cut += b"Job execution will continue but no more output will be collected.\x1b[0;m\n"
    assert "its log ends at its runner's limit of 65536 bytes" in (job_log.read(cut).tail or "")
    fetch = (
        b'wsdash/1 step {"phase":"fetch","state":"start","at":1}\r\x1b[0K\nfatal: no such host\n'
        b'wsdash/1 step {"phase":"fetch","state":"end","at":2,"exit":75}\r\x1b[0K\n'
    )
    assert job_log.read(fetch + cut).tail == "fatal: no such host"
