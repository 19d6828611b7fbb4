"""The local provider's files: records, logs and removal, on disks that fill up and with hostile content."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.job.protocol import Message
from wsdash.backend.providers.local.files import remove
from wsdash.backend.providers.local.layout import Layout, checked_id
from wsdash.backend.providers.local.supervisor.job_log import JobLog
from wsdash.backend.providers.local.supervisor.progress import MOST_STEPS, Progress, beat_record
from wsdash.backend.system import records

# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", ".hidden", "-x", "a\0", "a\n", "é", "x" * 129]
)
def test_an_id_that_is_no_plain_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no id"):
        checked_id(name)


def test_folders_are_for_the_user_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "root")
    layout.make()
    folders = (layout.root, layout.workspaces, layout.jobs, layout.listeners, layout.trash)
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


# --- records --------------------------------------------------------------------------------------


@given(record=st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_a_record_is_read_back(tmp_path: Path, record: dict[str, object]) -> None:
    records.write(tmp_path / "r.json", record)
    assert records.read(tmp_path / "r.json") == record
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["r.json"]


@given(data=st.binary(max_size=100) | st.sampled_from([b"[" * 100_000, b"[]", b"1", b"", b'{"a":']))
def test_what_is_no_record_reads_as_none(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "r.json"
    file.write_bytes(data)
    found = records.read(file)
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
    records.reserve(file)
    request.getfixturevalue("full_disk")
    records.write_reserved(file, {"cause": "cancelled"})
    assert records.read(file) == {"cause": "cancelled"}
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["exit.json"]


def test_a_failed_write_leaves_the_old_record(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    file = tmp_path / "state.json"
    records.write(file, {"old": 1})
    request.getfixturevalue("full_disk")
    with pytest.raises(OSError, match="No space"):
        records.write(file, {"new": 2})
    assert records.read(file) == {"old": 1}


def test_a_heartbeat_is_overwritten_in_place(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    file = tmp_path / "beat.json"
    records.write_in_place(file, {"at": 1})
    request.getfixturevalue("full_disk")
    records.write_in_place(file, {"at": 22})
    assert records.read(file) == {"at": 22}


# --- the log --------------------------------------------------------------------------------------


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
    ).read_text() == "before\n\nwsdash: 10 bytes were lost here: no room on the disk.\nafter\n"
    assert log.last_words(own_error=False) == "before\n1234567890after"


def test_the_last_lines_are_short_text_whatever_the_job_wrote(tmp_path: Path) -> None:
    log = JobLog(tmp_path / "log")
    log.write(b"\xff\x00" * 5000 + b"\n\n\nlast\n")
    assert log.last_words(own_error=False).endswith("last")
    assert len(log.last_words(own_error=False)) <= 1000


# --- progress -------------------------------------------------------------------------------------

fields = st.dictionaries(
    st.sampled_from(["phase", "command", "state", "exit", "at", "cause", "message", "load", "memory"]),
    st.none()
    | st.integers()
    | st.floats()
    | st.sampled_from(["start", "end", "a", "b"])
    | st.text(max_size=300),
)
messages = st.builds(Message, st.sampled_from(["step", "ready", "end", "beat"]), fields)


@given(sent=st.lists(messages, max_size=30))
def test_no_message_breaks_what_is_known_of_a_job(sent: list[Message]) -> None:
    progress = Progress()
    progress.state = "running"
    for number, message in enumerate(sent):
        before = str(progress.record())
        assert progress.apply(message, float(number), number) == (str(progress.record()) != before)
        beat_record(message, 0.0, None, None)
    for step in progress.steps:
        ended, code = step["ended_at"], step["exit_code"]
        assert (ended is None) == (code is None)
        assert isinstance(step["phase"], str) and 0 < len(step["phase"]) <= 80


def test_the_same_step_may_run_twice_and_each_end_is_its_own() -> None:
    progress = Progress()
    for at, state in enumerate(("start", "end", "start")):
        progress.apply(Message("step", {"phase": "p", "state": state, "exit": 1}), float(at), at * 10)
    assert [(s["exit_code"], s["log_start"], s["log_end"]) for s in progress.steps] == [
        (1, 0, 10),
        (None, 20, None),
    ]


def test_steps_without_end_are_bounded() -> None:
    progress = Progress()
    for number in range(MOST_STEPS + 10):
        progress.apply(Message("step", {"phase": str(number), "state": "start"}), 0.0, 0)
    assert len(progress.steps) == MOST_STEPS


def test_a_job_is_not_ready_before_it_runs() -> None:
    progress = Progress()
    assert not progress.apply(Message("ready", {}), 1.0, 0)
    assert progress.ready_at is None


# --- removal --------------------------------------------------------------------------------------


def test_a_hostile_folder_is_removed_and_nothing_outside_of_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    folder = tmp_path / "w"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "read-only").write_text("x")
    (folder / "out").symlink_to(outside)
    (folder / "a" / "b" / "file").symlink_to(outside / "kept")
    (folder / "a" / "loop").symlink_to(folder)
    (folder / "a" / "-rf").write_text("")
    (folder / os.fsdecode(b"\xff\n\x1b")).write_text("")
    os.mkfifo(folder / "pipe")
    (folder / "a" / "b").chmod(0)
    (folder / "a").chmod(0o500)
    trash = tmp_path / "trash"
    remove.remove(folder, trash, "w1")
    remove.remove(folder, trash, "w1")
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name != "home") == ["outside", "trash"]
    assert list(trash.iterdir()) == []
    assert (outside / "kept").read_text() == "kept"


def test_a_folder_deeper_than_any_path_may_be_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "w"
    top.mkdir()
    at = os.open(top, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d" * 20, dir_fd=at)
        inner = os.open("d" * 20, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)
    remove.remove(top, tmp_path / "trash", "w1")
    assert not top.exists() and list((tmp_path / "trash").iterdir()) == []


def test_a_link_in_the_folders_own_place_is_removed_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "w").symlink_to(outside)
    remove.remove(tmp_path / "w", tmp_path / "trash", "w1")
    remove.empty(tmp_path / "w")
    assert outside.is_dir() and not (tmp_path / "w").is_symlink()


def test_what_was_left_in_the_trash_goes_with_the_next_removal_of_its_owner(tmp_path: Path) -> None:
    trash = tmp_path / "trash"
    for name in ("w1.0123", "w1.x.0123", "w2.0123"):
        (trash / name / "a").mkdir(parents=True)
    remove.remove(tmp_path / "w", trash, "w1")
    assert sorted(entry.name for entry in trash.iterdir()) == ["w1.x.0123", "w2.0123"]
    remove.purge(trash)
    assert list(trash.iterdir()) == []


def test_several_may_remove_the_same_folder_at_once(tmp_path: Path) -> None:
    trash = tmp_path / "trash"
    for number in range(300):
        (trash / "w1.0123" / f"{number % 7}" / f"{number % 11}" / f"{number}").mkdir(parents=True)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: remove.purge(trash), range(4)))
    assert list(trash.iterdir()) == []
