"""A process is known by its pid and its start: a pid alone may have been given to another."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.waiting import until_sync
from wsdash.backend.system.processes import ProcessIdentity, boot_id, stat_of


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def identity_of(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    found = ProcessIdentity.of(process.pid)
    assert found is not None
    return found


def test_it_comes_back_from_its_record() -> None:
    own = ProcessIdentity.own()
    assert own.pid == os.getpid() and own.is_alive() and own.is_of_this_boot()
    assert ProcessIdentity.from_record(own.record()) == own


@pytest.mark.parametrize(
    "record",
    [
        None,
        {},
        {"pid": 1, "ticks": 1, "boot_id": "x"},
        {"pid": -1, "ticks": 1, "boot_id": "x"},
        {"pid": "7", "ticks": 1, "boot_id": "x"},
        {"pid": 7, "ticks": 1},
    ],
)
def test_any_other_record_is_of_no_process(record: dict[str, object] | None) -> None:
    """Least of all of one that a signal would hit: init, or a whole group."""
    assert ProcessIdentity.from_record(record) is None


def test_a_signal_reaches_it_and_not_its_successor(sleeper: subprocess.Popen[bytes]) -> None:
    sleeping = identity_of(sleeper)
    with_its_pid = ProcessIdentity(sleeping.pid, sleeping.ticks + 1, boot_id())
    of_another_boot = ProcessIdentity(sleeping.pid, sleeping.ticks, "another")
    for other in (with_its_pid, of_another_boot):
        assert not other.is_alive()
        assert not other.send(signal.SIGKILL)
    assert sleeping.is_alive()
    assert sleeping.send(signal.SIGKILL)
    assert sleeper.wait() == -signal.SIGKILL
    assert not sleeping.is_alive() and not sleeping.send(signal.SIGKILL)


def test_a_zombie_does_not_run(sleeper: subprocess.Popen[bytes]) -> None:
    sleeping = identity_of(sleeper)
    os.kill(sleeper.pid, signal.SIGKILL)
    until_sync(lambda: (stat_of(sleeper.pid) or "?")[0] == "Z", what="a zombie that nobody waited for")
    assert not sleeping.is_alive()


def test_a_pid_that_nobody_has_is_no_process() -> None:
    assert ProcessIdentity.of(999_999_999) is None
