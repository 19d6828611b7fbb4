"""A relay with other settings or older code is replaced, and one that runs is known."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.backend.access.conftest import ConnectedJob, Running, client_of
from tests.waiting import until_sync
from wsdash.backend.access.relay import process as relay_process


def is_reachable(relay: Running) -> bool:
    with socket.socket(socket.AF_UNIX) as user:
        try:
            user.connect(str(relay.folder.socket("w1")))
        except OSError:
            return False
        return True


@pytest.mark.parametrize("what", ["version", "code", "bind", "host"])
def test_a_relay_with_other_settings_or_code_is_replaced_and_its_job_connects_to_the_new_one(
    what: str, relay: Running, job: ConnectedJob, tmp_path: Path
) -> None:
    client = client_of(tmp_path, relay.port)
    assert client.folder == relay.folder
    before = relay.pid
    client.ensure_running()
    assert relay.pid == before
    about = json.loads(relay.folder.about.read_text())
    relay.folder.about.write_text(json.dumps({**about, what: 1 if what == "version" else "another"}))
    client.ensure_running()
    assert relay.pid != before
    try:
        job.open_tunnel()
        until_sync(lambda: is_reachable(relay), 30, "the tunnel")
    finally:
        assert client.process.end()
    assert not client.is_running()


def test_a_relay_that_was_taken_for_one_that_does_not_run_is_known_again(
    relay: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(tmp_path, relay.port)
    before = relay.pid
    looks = iter([False])  # it was killed, and its own parent has just started it again
    is_running = relay_process.RelayProcess.is_running
    monkeypatch.setattr(
        relay_process.RelayProcess,
        "is_running",
        lambda process: next(looks, None) is None and is_running(process),
    )
    client.ensure_running()
    assert client.is_running() and relay.pid == before

    relay.folder.about.unlink()
    until_sync(client.is_running, what="what it tells of itself")
    assert relay.pid == before
