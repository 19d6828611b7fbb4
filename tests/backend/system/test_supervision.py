"""Whether a local job's supervisor is alive, as its record and its lock say."""

from __future__ import annotations

import fcntl
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wsdash.backend.system.processes import ProcessIdentity
from wsdash.backend.system.supervision import Supervision


@pytest.fixture
def job(tmp_path: Path) -> Path:
    folder = tmp_path / "local" / "jobs" / "a1"
    folder.mkdir(parents=True)
    return folder


@contextmanager
def locked(job: Path) -> Iterator[None]:
    """As its supervisor holds it for as long as it lives."""
    with (job / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ended() -> ProcessIdentity:
    with subprocess.Popen(["sleep", "600"]) as process:
        identity = ProcessIdentity.of(process.pid)
        process.kill()
    assert identity is not None
    return identity


def record(job: Path, supervisor: ProcessIdentity) -> None:
    (job / "supervisor.json").write_text(json.dumps(supervisor.record()))


def test_a_supervisor_that_runs_is_not_gone(tmp_path: Path, job: Path) -> None:
    record(job, ProcessIdentity.own())
    assert not Supervision(tmp_path).is_gone("local", "a1")


def test_one_that_has_ended_is_gone(tmp_path: Path, job: Path) -> None:
    record(job, ended())
    assert Supervision(tmp_path).is_gone("local", "a1")


def test_one_in_another_pid_namespace_is_known_by_its_lock(tmp_path: Path, job: Path) -> None:
    record(job, ended())
    with locked(job):
        assert not Supervision(tmp_path).is_gone("local", "a1")


def test_a_lock_says_nothing_of_a_supervisor_of_the_boot_before(tmp_path: Path, job: Path) -> None:
    record(job, ProcessIdentity(ProcessIdentity.own().pid, 1, "another boot"))
    with locked(job):
        assert Supervision(tmp_path).is_gone("local", "a1")


@pytest.mark.parametrize("text", [None, "", "[]", "{}"])
def test_what_has_no_record_was_never_there(tmp_path: Path, job: Path, text: str | None) -> None:
    if text is not None:
        (job / "supervisor.json").write_text(text)
    supervision = Supervision(tmp_path)
    assert not supervision.is_gone("local", "a1")
    assert not supervision.is_gone("local", "a2")
    assert not supervision.is_gone("elsewhere", "a1")


def test_jobs_that_came_later_are_seen_when_it_looks_again(tmp_path: Path, job: Path) -> None:
    supervision = Supervision(tmp_path)
    assert not supervision.is_gone("local", "a2")
    later = job.parent / "a2"
    later.mkdir()
    record(later, ended())
    supervision.look_again()
    assert supervision.is_gone("local", "a2")
