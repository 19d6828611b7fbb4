"""A file that is replaced is the old one or the new one, whatever happens, and nothing is left beside it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from wsdash.backend.system.files import atomic


def test_a_new_file_is_the_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        atomic.write(tmp_path / "file", b"text")
        atomic.write(tmp_path / "open", b"text", mode=0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("durable", [False, True])
def test_a_reader_never_sees_half_a_file(tmp_path: Path, durable: bool) -> None:
    file = tmp_path / "file"
    contents = [bytes([letter]) * 100_000 for letter in b"ab"]
    atomic.write(file, contents[0])
    done = threading.Event()

    def write() -> None:
        for number in range(60):
            atomic.write(file, contents[number % 2], durable=durable)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert file.read_bytes() in contents
    writer.join()
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    atomic.write(file, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        atomic.write(file, b"new", durable=True)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_drafts_of_processes_that_died_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    dead, living = tmp_path / ".file.w0123abc", tmp_path / ".file.w89abcde"
    others = [tmp_path / ".file.name.w0123456", tmp_path / ".file.longer-than-that"]
    for draft in (dead, living, *others):
        draft.write_bytes(b"a secret")
    for draft in (dead, *others):
        os.utime(draft, (1e9, 1e9))
    atomic.write(tmp_path / "file", b"text")
    assert not dead.exists()
    assert all(file.exists() for file in (living, *others))


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("untouched")
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    atomic.write(tmp_path / "file", b"text")
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == "untouched"
