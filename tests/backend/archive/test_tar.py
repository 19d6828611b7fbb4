"""Tars as streams: what is written is read back, also by `tarfile`, and what is damaged is never taken for whole."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.archive import ArchiveError, tar
from wsdash.backend.archive.tar import Member

NAMES = st.binary(min_size=1, max_size=150).map(
    lambda data: data.replace(b"\0", b"x").replace(b"/", b"y").decode("utf-8", "surrogateescape")
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
TIMES = st.integers(0, 2**33 * 10**9)
MODES = st.integers(0, 0o7777)
MEMBERS = st.one_of(
    st.builds(Member, PATHS, st.just("folder"), MODES, TIMES),
    st.builds(Member, PATHS, st.sampled_from(["symlink", "hardlink"]), MODES, TIMES, target=PATHS),
)


def written(*members: Member | tuple[Member, bytes]) -> bytes:
    data = b""
    for one in members:
        member, content = one if isinstance(one, tuple) else (one, b"")
        data += tar.header(member) + content + tar.padding(len(content))
    return data + tar.END


def read(data: bytes) -> list[tuple[Member, bytes]]:
    return [(member, content.read(1 << 20)) for member, content in tar.read_members(io.BytesIO(data))]


def foreign(*infos: tarfile.TarInfo, form: int = tarfile.GNU_FORMAT, content: bytes = b"") -> bytes:
    """As another program writes it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=form) as archive:
        for info in infos:
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


@given(path=PATHS, mode=MODES, mtime_ns=TIMES, content=st.binary(max_size=1500))
def test_a_file_is_read_back_with_its_mode_and_its_time_to_the_nanosecond(
    path: str, mode: int, mtime_ns: int, content: bytes
) -> None:
    member = Member(path, "file", mode, mtime_ns, len(content))
    assert read(written((member, content))) == [(member, content)]


@given(members=st.lists(MEMBERS, max_size=4))
def test_folders_and_links_are_read_back(members: list[Member]) -> None:
    assert [
        (m.path.rstrip("/"), m.kind, m.mode, m.mtime_ns, m.target) for m, _ in read(written(*members))
    ] == [(m.path, m.kind, m.mode, m.mtime_ns, m.target) for m in members]


def test_other_programs_read_what_is_written() -> None:
    data = written(
        Member("projects", "folder", 0o750),
        (Member("projects/é" * 40, "file", 0o640, 1_700_000_000_123_456_789, 5), b"hello"),
        Member("projects/link", "symlink", 0o777, target="/etc/passwd"),
    )
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        folder, file, link = archive.getmembers()
        assert (folder.isdir(), folder.mode, file.name, file.mode) == (True, 0o750, "projects/é" * 40, 0o640)
        assert int(file.mtime) == 1_700_000_000
        assert (link.issym(), link.linkname) == (True, "/etc/passwd")
        content = archive.extractfile(file)
        assert content is not None
        assert content.read() == b"hello"


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_what_other_programs_write_is_read(form: int) -> None:
    file, link = tarfile.TarInfo("a/" * 60 + "file"), tarfile.TarInfo("link")
    file.size = 5
    link.type, link.linkname = tarfile.SYMTYPE, "b" * (150 if form != tarfile.USTAR_FORMAT else 90)
    (one, content), (two, _) = read(foreign(file, link, form=form, content=b"hello"))
    assert (one.path, one.kind, content) == ("a/" * 60 + "file", "file", b"hello")
    assert (two.kind, two.target) == ("symlink", link.linkname)


@given(data=st.binary(max_size=3000))
def test_bytes_that_are_no_tar_are_told_and_nothing_else_is_raised(data: bytes) -> None:
    with pytest.raises(ArchiveError):
        read(data)


WHOLE = written(Member("projects", "folder"), (Member("projects/" + "é" * 100, "file", size=700), b"x" * 700))


@given(size=st.integers(0, len(WHOLE) - tar.BLOCK - 1))
def test_an_archive_that_is_cut_off_is_told(size: int) -> None:
    with pytest.raises(ArchiveError, match="incomplete"):
        read(WHOLE[:size])


@given(at=st.integers(0, len(WHOLE) - len(tar.END) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_raises_no_other_error(at: int, bit: int) -> None:
    data = bytearray(WHOLE)
    data[at] ^= 1 << bit
    try:
        read(bytes(data))
    except ArchiveError as error:
        assert str(error)


def test_damage_in_the_middle_is_not_taken_for_the_end() -> None:
    data = written(Member("projects", "folder"), Member("home", "folder"))
    damaged = data[: tar.BLOCK] + b"\xff" * tar.BLOCK + data[2 * tar.BLOCK :]
    with pytest.raises(ArchiveError, match="damaged"):
        read(damaged)


def _raw(kind: bytes, size: int, body: bytes = b"") -> bytes:
    info = tarfile.TarInfo("header")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT) + body + bytes(-len(body) % tar.BLOCK)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_many_gigabytes_is_not_read(kind: bytes) -> None:
    with pytest.raises(ArchiveError, match="the limit is"):
        read(_raw(kind, 50_000_000_000))


@pytest.mark.parametrize(
    "records",
    [
        b"9999 path=a\n",
        b"0 path=a\n",
        b"path=a\n",
        b"8 path=a",
        b"7 path\n\n",
        b"-5 a=b\n",
        b"99999999999 a=b\n",
    ],
)
def test_a_pax_header_that_is_wrong_is_told(records: bytes) -> None:
    with pytest.raises(ArchiveError, match="damaged"):
        read(_raw(tarfile.XHDTYPE, len(records), records) + written(Member("projects", "folder")))


@pytest.mark.parametrize("record", ["size=-1", "size=x", "size=" + "9" * 40, "mtime=nan", "mtime=1e9"])
def test_numbers_of_a_pax_header_that_are_none_are_told(record: str) -> None:
    data = f"{len(record) + 4} {record}\n".encode()
    assert len(data) == int(data.split()[0])
    with pytest.raises(ArchiveError, match="damaged"):
        read(_raw(tarfile.XHDTYPE, len(data), data) + written(Member("projects", "folder")))


def test_a_negative_size_does_not_send_the_reader_back() -> None:
    with pytest.raises(ArchiveError, match="below zero"):
        read(_raw(tarfile.REGTYPE, -512))


def test_what_is_no_file_folder_or_link_is_special() -> None:
    for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, b"V"):
        assert [member.kind for member, _ in read(_raw(kind, 0) + tar.END)] == ["special"]
