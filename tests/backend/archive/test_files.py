"""Archives as files and pipes: whole or not at all, private, and never in the place of another file."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import random
import stat
import threading
from pathlib import Path

import pytest

from wsdash.backend.archive import ArchiveError
from wsdash.backend.archive.files import ArchiveReader, ArchiveWriter
from wsdash.backend.archive.streams import Closed, StreamFailed, in_thread
from wsdash.backend.errors import UserError

DATA = random.Random(1).randbytes(300_000)


def write(file: Path | int, *, force: bool = False, data: bytes = DATA) -> int:
    target = ArchiveWriter(file, force=force)
    try:
        target.open()
        target.write(data)
        return target.finish()
    finally:
        target.release()


def read(file: Path | int) -> bytes:
    source = ArchiveReader(file)
    try:
        data = b""
        while piece := source.read(100_000):
            data += piece
        return data
    finally:
        source.release()


@pytest.mark.parametrize(
    ("name", "magic"),
    [("a.tar", DATA[:2]), ("a.tar.gz", b"\x1f\x8b"), ("a.tgz", b"\x1f\x8b"), ("a", b"\x1f\x8b")],
)
def test_a_file_is_compressed_unless_its_name_ends_in_tar(tmp_path: Path, name: str, magic: bytes) -> None:
    file = tmp_path / name
    size = write(file)
    assert file.read_bytes()[:2] == magic
    assert size == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read(file) == DATA
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208


def test_a_file_that_is_there_is_replaced_only_by_force(tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    file.write_bytes(b"precious")
    with pytest.raises(UserError, match="already exists") as output:
        write(file)
    assert "--force" in output.value.hint
    assert file.read_bytes() == b"precious"
    write(file, force=True)
    assert file.read_bytes() == DATA


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    target = ArchiveWriter(file)
    target.open()
    target.write(DATA)
    file.write_bytes(b"precious")
    with pytest.raises(UserError, match="already exists"):
        target.finish()
    target.release()
    assert file.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    target = ArchiveWriter(tmp_path / "a.tar.gz")
    target.open()
    target.write(DATA)
    assert len(list(tmp_path.iterdir())) == 1
    target.release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/a.tar", "folder", "a.tar.zst"])
def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError):
        write(tmp_path / name)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_a_device_is_not_replaced_even_by_force() -> None:
    with pytest.raises(UserError, match="is not a file"):
        write(Path("/dev/null"), force=True)


def test_a_pipe_carries_an_archive_from_writer_to_reader() -> None:
    reading, writing = os.pipe()

    def send() -> None:
        write(writing)
        os.close(writing)

    sender = threading.Thread(target=send)
    sender.start()
    assert read(reading) == DATA
    sender.join()
    os.close(reading)


def test_a_reader_that_leaves_is_an_error_of_the_stream() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(StreamFailed) as failed:
        write(writing)
    assert isinstance(failed.value.error, BrokenPipeError)
    os.close(writing)


def test_compression_is_known_by_the_content_and_not_by_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(gzip.compress(DATA))
    assert read(tmp_path / "a.tar") == DATA
    (tmp_path / "zstd").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    with pytest.raises(ArchiveError, match="zstd"):
        read(tmp_path / "zstd")


def test_a_damaged_compression_is_told(tmp_path: Path) -> None:
    whole = gzip.compress(DATA)
    for data in (whole[:-10], whole[:100], whole[:1000] + bytes(50) + whole[1050:]):
        (tmp_path / "a").write_bytes(data)
        with pytest.raises(ArchiveError, match="damaged"):
            read(tmp_path / "a")


def test_no_such_file_and_a_folder_are_errors_of_the_stream(tmp_path: Path) -> None:
    for file in (tmp_path / "missing", tmp_path):
        with pytest.raises(StreamFailed):
            read(file)


def test_endless_zeros_after_the_end_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(bytes(50_000_000)))
    source = ArchiveReader(tmp_path / "a")
    with pytest.raises(ArchiveError, match="data after its end mark"):
        source.read_to_end()
    source.release()
    assert source.count < 3_000_000


async def test_a_cancelled_read_from_a_silent_pipe_ends() -> None:
    reading, writing = os.pipe()
    source, has_begun = ArchiveReader(reading), threading.Event()

    def work() -> bytes:
        has_begun.set()
        return source.read(1)

    task = asyncio.create_task(in_thread(work, source))
    await asyncio.to_thread(has_begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(Closed):
        source.read(1)
    os.close(reading)
    os.close(writing)


def test_progress_is_told_as_bytes_pass(tmp_path: Path) -> None:
    output: list[int] = []
    target = ArchiveWriter(tmp_path / "a", output.append)
    target.open()
    for _ in range(3):
        target.write(io.BytesIO(DATA).read(1000))
    target.finish()
    target.release()
    assert output == [1000, 2000, 3000]
