"""Enrolment: one proof, one pair of keys, for as long as the proof counts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backend.access.conftest import ConnectedJob, Running


@pytest.fixture
def job(relay: Running, tmp_path: Path) -> Iterator[ConnectedJob]:
    found = relay.job(tmp_path)
    yield found
    found.close()


def test_a_proof_counts_for_the_first_keys_and_another_one_never(
    relay: Running, job: ConnectedJob, tmp_path: Path
) -> None:
    assert not job.enrol("wrong")
    assert not job.enrol("")
    assert not job.enrol(user="w1.a2")
    assert job.enrol()
    assert job.enrol(), "a job whose answer was lost could never come in"
    assert not job.enrol("wrong")
    thief = ConnectedJob(relay, tmp_path / "thief", job.grant, job.secret)
    assert not thief.enrol()
    assert thief.open_tunnel().wait(30) != 0
    assert not relay.folder.socket("w1").exists()
    assert "s3cret" not in relay.log


def test_a_secret_counts_for_its_time_alone(relay: Running, job: ConnectedJob) -> None:
    relay.grants.write(replace(job.grant, not_after=time.time() - 1))
    assert not job.enrol()
    assert "its secret has expired" in relay.log
    relay.grants.write(job.grant)
    assert job.enrol()
