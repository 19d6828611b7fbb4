"""The lock of a job's folder: one supervisor for an attempt, and no long wait for another one."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from wsdash.backend.providers.local.supervisor.main import take_lock


def test_a_lock_that_is_free_is_taken_and_then_nobody_elses(tmp_path: Path) -> None:
    taken = take_lock(tmp_path / "lock", 0.0, tmp_path / "none")
    assert taken is not None
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    assert not os.get_inheritable(taken)
    assert take_lock(tmp_path / "lock", 0.02, tmp_path / "none") is None
    os.close(taken)
    again = take_lock(tmp_path / "lock", 0.0, tmp_path / "none")
    assert again is not None
    os.close(again)


def test_the_wait_for_a_lock_ends_when_the_other_has_its_supervisor(tmp_path: Path) -> None:
    taken = take_lock(tmp_path / "lock", 0.0, tmp_path / "none")
    assert taken is not None
    (tmp_path / "supervisor.json").write_text("{}")
    begun = time.monotonic()
    assert take_lock(tmp_path / "lock", 3600.0, tmp_path / "supervisor.json") is None
    assert time.monotonic() - begun < 1800
    os.close(taken)


def test_those_who_sweep_up_share_the_lock_and_leave_no_room_for_a_supervisor(tmp_path: Path) -> None:
    first = take_lock(tmp_path / "lock", 0.0, tmp_path / "none", fcntl.LOCK_SH)
    second = take_lock(tmp_path / "lock", 0.0, tmp_path / "none", fcntl.LOCK_SH)
    assert first is not None and second is not None
    assert take_lock(tmp_path / "lock", 0.0, tmp_path / "none") is None
    os.close(first)
    os.close(second)
