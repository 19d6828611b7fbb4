"""Nobody's write goes unnoticed, and asking costs no query."""

from __future__ import annotations

import os
from pathlib import Path

from wsdash.backend.system.files.file_watch import RECENT_NS, FileWatch


def test_a_write_is_noticed_and_rest_is_rest(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    file.write_text("one")
    later = file.stat().st_mtime_ns + 2 * RECENT_NS
    watch = FileWatch(file, lambda: later)
    assert watch.may_have_changed()
    assert not watch.may_have_changed()
    os.utime(file, ns=(1, 1))
    assert watch.may_have_changed()
    assert not watch.may_have_changed()
    (tmp_path / "state.db-wal").write_text("a commit in the write-ahead log")
    assert watch.may_have_changed()


def test_for_a_second_after_a_write_another_may_have_the_same_time(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    file.write_text("one")
    soon = file.stat().st_mtime_ns + RECENT_NS // 2
    watch = FileWatch(file, lambda: soon)
    assert watch.may_have_changed()
    assert watch.may_have_changed()


def test_a_file_that_is_not_there_does_not_change(tmp_path: Path) -> None:
    watch = FileWatch(tmp_path / "state.db")
    assert watch.may_have_changed()
    assert not watch.may_have_changed()
