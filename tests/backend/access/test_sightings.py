"""What the relay saw of a job is on record: that it connected, was refused, or was disconnected."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from tests.backend.access.conftest import ConnectedJob, Running, client_of
from tests.waiting import until_sync
from wsdash.backend.access.sightings import Reached, Sighting


def until_seen(relay: Running, tmp_path: Path, **wanted: object) -> Sighting:
    """Wait until the record of w1 has these values."""
    client = client_of(tmp_path, relay.port)

    def is_so() -> bool:
        found = client.sighting("w1")
        return found is not None and all(getattr(found, key) == value for key, value in wanted.items())

    until_sync(is_so, 30, f"a record with {wanted}")
    found = client.sighting("w1")
    assert found is not None
    return found


def test_a_job_that_connects_is_on_record_until_it_is_gone(
    relay: Running, job: ConnectedJob, tmp_path: Path
) -> None:
    found = until_seen(relay, tmp_path, is_connected=True)
    assert (found.attempt_id, found.host, found.is_refused) == ("w1.a1", "127.0.0.1", False)
    job.close()
    until_seen(relay, tmp_path, is_connected=False)


def test_a_relay_that_was_killed_has_no_job_connected(
    relay: Running, job: ConnectedJob, tmp_path: Path
) -> None:
    until_seen(relay, tmp_path, is_connected=True)
    assert client_of(tmp_path, relay.port).process.end()
    relay.start(relay.port)
    until_seen(relay, tmp_path, is_connected=False)


def test_a_job_that_is_refused_is_on_record_with_the_reason(relay: Running, tmp_path: Path) -> None:
    job = relay.job(tmp_path)
    assert not job.enrol("wrong")
    assert until_seen(relay, tmp_path, is_refused=True).refusal
    assert job.enrol()
    grant = relay.grants.of_workspace("w1")
    assert grant is not None
    relay.grants.write(replace(grant, job_key=grant.host_key))
    assert "Permission denied" in job.refused("-N")
    until_seen(relay, tmp_path, refusal="its key is not the one that it has enrolled with")


def test_a_workspace_that_is_gone_leaves_no_record(relay: Running, job: ConnectedJob, tmp_path: Path) -> None:
    client = client_of(tmp_path, relay.port)
    until_seen(relay, tmp_path, is_connected=True)
    client.revoke("w1", "web")
    other = relay.job(tmp_path, "w2")
    assert not other.enrol("wrong")
    until_sync(lambda: client.sighting("w2") is not None, 30, "a later record")
    assert client.sighting("w1") is None
    job.close()


def test_the_first_job_that_connects_proves_the_address_that_it_was_told(
    relay: Running, tmp_path: Path
) -> None:
    client = client_of(tmp_path, relay.port)
    job = relay.job(tmp_path)
    relay.grants.write(replace(job.grant, context="work", address="jump.example 8022"))
    assert client.reached() == {}
    assert job.enrol()
    try:
        job.open_tunnel()
        until_sync(lambda: "work" in client.reached(), 30, "the address that works")
        found = client.reached()["work"]
        assert found == Reached("jump.example 8022", found.at, "127.0.0.1")
        first = found.at
        job.open_tunnel()
        until_seen(relay, tmp_path, is_connected=True)
        assert client.reached()["work"].at == first
    finally:
        job.close()


def test_a_socket_that_cannot_be_made_again_is_on_record(
    relay: Running, job: ConnectedJob, tmp_path: Path
) -> None:
    until_seen(relay, tmp_path, is_connected=True)
    sockets = relay.folder.sockets
    (relay.folder.root / "sockets").write_text(f"{tmp_path}/{'x' * 200}\n")
    (tmp_path / ("x" * 200)).mkdir(mode=0o700)
    shutil.rmtree(sockets)
    found = until_seen(relay, tmp_path, is_connected=True)
    until_sync(lambda: bool(_problem(relay, tmp_path)), 30, "why there is no socket")
    assert found.is_connected
    (relay.folder.root / "sockets").unlink()
    until_seen(relay, tmp_path, socket_problem="")


def _problem(relay: Running, tmp_path: Path) -> str:
    found = client_of(tmp_path, relay.port).sighting("w1")
    return "" if found is None else found.socket_problem
