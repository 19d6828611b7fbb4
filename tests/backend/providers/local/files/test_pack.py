"""Files of a local workspace out into a tar, of trees that change meanwhile, and in again."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.backend.providers.archives import tree
from wsdash.backend.archive import tar
from wsdash.backend.archive.tar import Member
from wsdash.backend.providers.errors import PermanentError
from wsdash.backend.providers.local.files import pack as files_pack
from wsdash.backend.providers.local.files import unpack as files_unpack
from wsdash.backend.providers.types import PackReport


def pack(folder: Path) -> tuple[bytes, PackReport]:
    sink = io.BytesIO()
    packed = files_pack.pack(folder, sink)
    return sink.getvalue(), packed


def unpack(folder: Path, data: bytes) -> Path:
    folder.mkdir()
    files_unpack.unpack(folder, io.BytesIO(data))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace's folder with one of everything that can be moved."""
    top = tmp_path / "workspace"
    (top / "projects" / "app" / "deep" / "er").mkdir(parents=True)
    (top / "home").mkdir()
    (top / "volumes" / "data").mkdir(parents=True)
    (top / "tmp").mkdir()
    (top / "tmp" / "scratch").write_text("not moved")
    app = top / "projects" / "app"
    (app / "script.sh").write_text("#!/bin/sh\n")
    (app / "script.sh").chmod(0o755)
    (app / "empty").touch()
    (app / "secret").write_bytes(os.urandom(700_000))
    (app / "secret").chmod(0o600)
    os.link(app / "secret", app / "deep" / "same")
    (app / "outside").symlink_to("/etc/passwd")
    (app / "dangling").symlink_to("../../nowhere")
    (app / os.fsdecode(b"caf\xe9\n")).write_text("odd name")
    (app / "deep" / "er" / "read-only").write_text("x")
    (app / "deep" / "er" / "read-only").chmod(0o400)
    (top / "home" / ".profile").write_text("x")
    (top / "volumes" / "data" / "rows").write_text("1\n")
    os.utime(app / "script.sh", ns=(1, 1_600_000_000_123_456_789))
    os.utime(app / "outside", ns=(1, 1_500_000_000_000_000_001), follow_symlinks=False)
    (app / "deep" / "er").chmod(0o500)
    os.utime(app / "deep", ns=(1, 1_400_000_000_000_000_000))
    return top


def test_files_come_back_with_content_links_modes_and_times(folder: Path, tmp_path: Path) -> None:
    data, packed = pack(folder)
    assert packed == PackReport()
    back = tree(unpack(tmp_path / "back", data))
    there = {path: seen for path, seen in tree(folder).items() if not path.startswith("tmp")}
    for top in ("projects", "home", "volumes"):
        assert there.pop(top)[1] == back.pop(top)[1]
    assert back == there
    app = tmp_path / "back" / "projects" / "app"
    assert (app / "secret").stat().st_ino == (app / "deep" / "same").stat().st_ino


def test_owners_are_not_told(folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(folder)[0])) as archive:
        assert {(m.uid, m.gid, m.uname, m.gname) for m in archive} == {(0, 0, "", "")}


def test_sockets_and_named_pipes_are_left_out_and_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(folder / "home" / "pipe")
    monkeypatch.chdir(folder / "home")  # an address has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("agent")
        data, packed = pack(folder)
    assert packed.skipped == ("home/agent", "home/pipe")
    assert {entry.name for entry in (unpack(tmp_path / "back", data) / "home").iterdir()} == {".profile"}


def test_a_tree_deeper_than_a_path_may_be_long_is_packed_as_far_as_it_can_be_named(tmp_path: Path) -> None:
    top = tmp_path / "workspace"
    (top / "projects").mkdir(parents=True)
    here = os.open(top / "projects", os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    data, packed = pack(top)
    assert len(packed.skipped) == 1
    assert len(list(tar.read_members(io.BytesIO(data)))) == 21


def test_a_file_that_cannot_be_read_stops_the_export_by_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuse(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "secret":
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermanentError, match="projects/app/secret cannot be read"):
        pack(folder)


class Meddling(io.BytesIO):
    """A sink that does something once, when the first bytes with `mark` are written."""

    def __init__(self, mark: bytes, act: Callable[[], object]) -> None:
        super().__init__()
        self._mark = mark
        self._act: Callable[[], object] | None = act

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        if self._act is not None and self._mark in data:
            act, self._act = self._act, None
            act()
        return super().write(data)


def test_files_that_shrink_or_grow_meanwhile_are_named_and_the_tar_stays_whole(
    folder: Path, tmp_path: Path
) -> None:
    secret = folder / "projects" / "app" / "secret"
    for act in (lambda: os.truncate(secret, 10), lambda: secret.write_bytes(bytes(900_000))):
        sink = Meddling(b"projects/app/secret", act)
        size = secret.stat().st_size
        packed = files_pack.pack(folder, sink)
        assert packed.changed == ("projects/app/secret",)
        back = unpack(tmp_path / f"back-{size}", sink.getvalue())
        assert (back / "projects" / "app" / "secret").stat().st_size == size
        assert (back / "projects" / "app" / "script.sh").exists()


def test_a_folder_that_is_swapped_for_a_link_meanwhile_is_not_followed(folder: Path, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    (private / "key").write_text("a secret of this machine")
    deep = folder / "projects" / "app" / "deep"

    def swap() -> None:
        deep.rename(tmp_path / "moved")
        deep.symlink_to(private)

    sink = Meddling(b"projects/app/script.sh", swap)
    packed = files_pack.pack(folder, sink)
    assert "projects/app/deep" in packed.changed
    assert b"a secret of this machine" not in sink.getvalue()


@pytest.mark.parametrize("kind", ["named pipe", "link", "nothing"])
def test_a_file_that_is_swapped_before_it_is_opened_does_not_hang_or_leak(
    kind: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("a secret of this machine")
    secret, real = folder / "projects" / "app" / "secret", os.open

    def swap(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "secret":
            secret.unlink()
            if kind == "named pipe":
                os.mkfifo(secret)
            elif kind == "link":
                secret.symlink_to(tmp_path / "key")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swap)
    data, packed = pack(folder)
    assert packed.changed == ("projects/app/secret",)
    assert b"a secret of this machine" not in data


def test_a_member_is_no_larger_than_it_says() -> None:
    data = tar.header(Member("home/a", "file", size=3)) + b"abc" + tar.padding(3) + tar.END
    ((_, content),) = [(m, c.read(100) + c.read(100)) for m, c in tar.read_members(io.BytesIO(data))]
    assert content == b"abc"
