"""Small records in files, on disks that fill up and with hostile content."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.system.files import json_files


@given(record=st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_a_record_is_read_back(tmp_path: Path, record: dict[str, object]) -> None:
    json_files.write(tmp_path / "r.json", record)
    assert json_files.read(tmp_path / "r.json") == record
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["r.json"]


@given(data=st.binary(max_size=100) | st.sampled_from([b"[" * 100_000, b"[]", b"1", b"", b'{"a":']))
def test_what_is_no_record_reads_as_none(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "r.json"
    file.write_bytes(data)
    found = json_files.read(file)
    assert found is None or isinstance(found, dict)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """New files can be made but hold nothing; what has its space can be overwritten."""

    def no_room(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", no_room)
        yield


def test_the_end_is_recorded_on_a_full_disk(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    file = tmp_path / "exit.json"
    json_files.reserve(file)
    request.getfixturevalue("full_disk")
    json_files.write_reserved(file, {"cause": "cancelled"})
    assert json_files.read(file) == {"cause": "cancelled"}
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["exit.json"]


def test_a_failed_write_leaves_the_old_record(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    file = tmp_path / "state.json"
    json_files.write(file, {"old": 1})
    request.getfixturevalue("full_disk")
    with pytest.raises(OSError, match="No space"):
        json_files.write(file, {"new": 2})
    assert json_files.read(file) == {"old": 1}


def test_a_heartbeat_is_overwritten_in_place(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    file = tmp_path / "beat.json"
    json_files.write_in_place(file, {"at": 1})
    request.getfixturevalue("full_disk")
    json_files.write_in_place(file, {"at": 22})
    assert json_files.read(file) == {"at": 22}
