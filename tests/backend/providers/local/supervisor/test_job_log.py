"""A job's log: bounded, and honest about what a full disk lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.providers.local.log_files import CUT, LogFiles
from wsdash.backend.providers.local.supervisor.job_log import JobLog


@given(chunks=st.lists(st.binary(max_size=30), max_size=20), cap=st.integers(4, 100))
def test_a_log_holds_its_beginning_and_its_end_and_never_more_than_its_cap(
    tmp_path: Path, chunks: list[bytes], cap: int
) -> None:
    for file in tmp_path.iterdir():
        file.unlink()
    log, files = JobLog(tmp_path / "log", cap), LogFiles(tmp_path / "log")
    for chunk in chunks:
        log.write(chunk)
    log.close()
    whole, kept = b"".join(chunks), files.read(0, 10_000)
    assert log.size == files.size == len(kept)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= cap + 4
    if len(whole) <= cap // 2 + 2 * (cap // 4):
        assert kept == whole
    elif kept != whole:
        before, _, after = kept.partition(CUT)
        assert whole.startswith(before) and len(before) == cap // 2
        assert whole.endswith(after) and len(after) >= cap // 4
    assert b"".join(files.read(offset, 7) for offset in range(0, len(kept), 7)) == kept


def test_a_log_goes_on_where_it_was_left(tmp_path: Path) -> None:
    for text in (b"one ", b"two ", b"three"):
        log = JobLog(tmp_path / "log", 1000)
        log.write(text)
        log.close()
    assert LogFiles(tmp_path / "log").read(4, 100) == b"two three"


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
