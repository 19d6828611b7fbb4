"""A local job's log is several files, and is read as one."""

from __future__ import annotations

from pathlib import Path

from wsdash.backend.providers.local.log_files import CUT, LogFiles


def test_a_log_without_files_is_empty(tmp_path: Path) -> None:
    log = LogFiles(tmp_path / "log")
    assert (log.size, log.read(0, 10), log.read(7, 10)) == (0, b"", b"")


def test_the_cut_stands_between_the_beginning_and_the_end(tmp_path: Path) -> None:
    log = LogFiles(tmp_path / "log")
    for file, text in ((log.beginning, b"begin"), (log.older, b"older "), (log.newer, b"newer")):
        file.write_bytes(text)
    assert log.read(0, 100) == b"beginolder newer"
    log.cut.touch()
    whole = b"begin" + CUT + b"older newer"
    assert (log.read(0, 1000), log.size) == (whole, len(whole))
    for offset in range(len(whole) + 2):
        assert log.read(offset, 9) == whole[offset : offset + 9]
