"""The folder of the sockets: no other user can take it, no environment sets it, and removed sockets come back."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from tests.backend.access.conftest import ConnectedJob, Running
from tests.waiting import until_sync


def is_reachable(relay: Running) -> bool:
    with socket.socket(socket.AF_UNIX) as user:
        try:
            user.connect(str(relay.folder.socket("w1")))
        except OSError:
            return False
        return True


@pytest.mark.parametrize("what", ["the socket", "the folder"])
def test_what_was_removed_comes_back_by_itself_for_a_tunnel_that_is_up(
    relay: Running, job: ConnectedJob, what: str
) -> None:
    """As by a log-out, after which a folder of the session is gone."""
    if what == "the folder":
        shutil.rmtree(relay.folder.sockets)
    else:
        relay.folder.socket("w1").unlink()
    until_sync(lambda: is_reachable(relay), 30, "the socket again")
    assert relay.folder.named("web").resolve() == relay.folder.socket("w1")
    assert job.processes[0].poll() is None, "the tunnel itself was ended"


def test_without_the_folder_a_job_is_let_in(relay: Running, tmp_path: Path) -> None:
    job = relay.job(tmp_path)
    assert job.enrol()
    shutil.rmtree(relay.folder.sockets)
    job.open_tunnel()
    until_sync(lambda: is_reachable(relay), 30, "the tunnel")
    job.close()


def test_a_relay_that_starts_removes_the_sockets_of_one_that_was_killed(relay: Running) -> None:
    relay.close()
    gone = relay.folder.socket("gone")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(gone))
    relay.folder.named("web").symlink_to(gone.name)
    other = (
        relay.folder.sockets / "c-0123"
    )  # of an ssh that shares its connection, as an earlier version had it do
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(other))
    relay.start()
    assert [file.name for file in relay.folder.sockets.iterdir()] == [other.name]
