"""A job's log: bounded, and honest about what a full disk lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.providers.local.supervisor.job_log import JobLog


@given(chunks=st.lists(st.binary(max_size=30), max_size=10), cap=st.integers(0, 100))
def test_a_log_holds_what_was_written_up_to_its_cap(tmp_path: Path, chunks: list[bytes], cap: int) -> None:
    path = tmp_path / "log"
    path.unlink(missing_ok=True)
    log = JobLog(path, cap)
    for chunk in chunks:
        log.write(chunk)
    log.close()
    whole, kept = b"".join(chunks), path.read_bytes()
    assert log.size == len(kept)
    if len(whole) <= cap:
        assert kept == whole
    else:
        assert kept.startswith(whole[:cap]) and b"has reached" in kept[cap:]


def test_bytes_lost_on_a_full_disk_are_counted_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = JobLog(tmp_path / "log")
    log.write(b"before\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        log.write(b"12345")
        log.write(b"67890")
    log.write(b"after\n")
    assert (
        tmp_path / "log"
    ).read_text() == "before\n\nwsdash: 10 bytes were lost here: no space on the disk.\nafter\n"
    assert log.last_words(own_error=False) == "before\n1234567890after"


def test_the_last_lines_are_short_text_whatever_the_job_wrote(tmp_path: Path) -> None:
    log = JobLog(tmp_path / "log")
    log.write(b"\xff\x00" * 5000 + b"\n\n\nlast\n")
    assert log.last_words(own_error=False).endswith("last")
    assert len(log.last_words(own_error=False)) <= 1000
