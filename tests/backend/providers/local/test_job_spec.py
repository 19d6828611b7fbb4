"""The record that a supervisor runs: its stages, and the cause that each exit code means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.backend import builders
from wsdash.backend.job.protocol import EXIT_CONFIGURATION, EXIT_SOURCE_FAILED
from wsdash.backend.providers.local import Isolation, job_spec
from wsdash.backend.providers.local.sandbox.isolation import Host, JobPaths
from wsdash.model import Cause
from wsdash.workload import Service, Source, Volume, Workload

HOST = Host((("usr", None), ("home", None)), "/home/me")
PATHS = JobPaths("a1", Path("/state/workspaces/w1"), Path("/state/jobs/a1/job"), Path("/state"))
PLAIN, PODMAN = Isolation("plain"), Isolation("podman", "/usr/bin/podman")
FULL = Workload(image="debian:12", source=Source("https://git.example/x.git"))


def spec(workload: Workload, isolation: Isolation = PLAIN, **unmounted: str) -> dict[str, Any]:
    return job_spec.spec(
        builders.attempt(3),
        workload,
        isolation=isolation,
        job_paths=PATHS,
        host=HOST,
        env={"A": "1"},
        settings={"WSDASH_BEAT_S": "5"},
        unmounted=unmounted,
        notes=("a note",),
        at=12.0,
    )


def test_a_source_is_fetched_first_and_an_image_pulled_before_the_job() -> None:
    assert [bool(stage["is_job"]) for stage in spec(FULL, PODMAN)["stages"]] == [False, False, True]
    fetch, pull, _ = spec(FULL, PODMAN)["stages"]
    assert "fetch" in fetch["argv"] and any("pull" in word for word in pull["argv"])
    assert len(spec(replace(FULL, source=None))["stages"]) == 1
    assert spec(FULL, PODMAN)["cleanup"] and not spec(FULL)["cleanup"]


@pytest.mark.parametrize(
    ("stage", "code", "cause"),
    [
        (0, EXIT_CONFIGURATION, Cause.CONFIGURATION),
        (0, EXIT_SOURCE_FAILED, Cause.SOURCE),
        (0, 1, Cause.SOURCE),
        (1, 1, Cause.IMAGE),
        (2, 125, Cause.IMAGE),
        (2, 127, Cause.IMAGE),
        (2, 1, Cause.USER_CODE),
    ],
)
def test_an_exit_code_means_a_cause_by_its_stage(stage: int, code: int, cause: Cause) -> None:
    found = spec(FULL, PODMAN)["stages"][stage]
    assert found["causes"].get(str(code), found["otherwise"]) == cause


def test_without_a_container_127_is_the_users_own_command() -> None:
    assert spec(FULL)["stages"][-1]["causes"] == {}


def test_the_record_says_whose_job_it_is_and_the_fetch_gets_none_of_the_jobs_variables() -> None:
    found = spec(FULL)
    assert (found["attempt"], found["number"], found["workspace"]) == ("a3", 3, "w1")
    assert found["stages"][-1]["env"] == {"A": "1", "WSDASH_BEAT_S": "5"}
    assert found["stages"][0]["env"] is None and "A" not in found["stages"][0]["adds"]
    assert all(stage["adds"]["WSDASH_ATTEMPT"] == "a3" for stage in found["stages"])


def test_the_job_is_told_of_volumes_that_are_elsewhere_and_of_components_that_are_not_started() -> None:
    workload = replace(FULL, volumes=(Volume("data", "/data"),), services=(Service("db", "postgres"),))
    notes = spec(workload, data="a folder there is not empty")["stages"][-1]["notes"]
    assert notes[0] == "a note"
    assert "/data (a folder there is not empty)" in notes[1]
    assert "the component db (postgres) is not started" in notes[2]
