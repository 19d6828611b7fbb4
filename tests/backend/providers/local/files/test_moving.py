"""Files of a local workspace out into a tar and in from one: trees that change meanwhile, kills, full disks."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backend.providers.archives import archive, leftovers, member, nobody, tree
from tests.backend.providers.contract import workspace
from tests.waiting import until_sync
from wsdash.backend.archive import tar
from wsdash.backend.archive.tar import Member
from wsdash.backend.providers.errors import PermanentError, ProviderError
from wsdash.backend.providers.local import Isolation, LocalProvider
from wsdash.backend.providers.local.files import pack as files_pack
from wsdash.backend.providers.local.files import unpack as files_unpack
from wsdash.backend.providers.local.layout import Layout
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


# --- out and in again -----------------------------------------------------------------------------


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


# --- kills ----------------------------------------------------------------------------------------


SCRIPT = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from tests.backend.providers.contract import workspace
from tests.backend.providers.archives import nobody
from wsdash.backend.providers.local import Isolation, LocalProvider

async def main():
    provider = LocalProvider(Path(sys.argv[1]), isolation=Isolation("plain"))
    async with provider.unpack(replace(workspace(), id=sys.argv[2]), sys.stdin.buffer, nobody):
        print("in the block", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""
DATA = archive(member("projects/one", content=b"1" * 300_000), member("home/two", content=b"2" * 300_000))


@contextmanager
def importing(root: Path, data: bytes) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that brings the workspace `dying` in, and is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(root), "dying"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[5],
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.flush()
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def wait_for_block(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    assert process.stdout.readline() == b"in the block\n"


async def bring_in(root: Path, known: set[str]) -> None:
    async def ids() -> set[str]:
        return known

    async with LocalProvider(root, isolation=Isolation("plain")).unpack(workspace(2), io.BytesIO(DATA), ids):
        pass


async def test_what_was_killed_while_its_files_came_is_removed_by_the_next_import(root: Path) -> None:
    half = Layout(root).drafts / "dying" / "files" / "projects" / "one"
    with importing(root, DATA[:200_000]):
        until_sync(half.exists, 20.0, "the first file")
    assert half.exists()
    await bring_in(root, known=set())
    assert leftovers(root) == [str(Layout(root).workspaces / workspace(2).id)]


@pytest.mark.parametrize("is_known", [False, True])
async def test_what_was_killed_in_the_block_is_removed_unless_it_was_committed(
    root: Path, is_known: bool
) -> None:
    with importing(root, DATA) as process:
        wait_for_block(process)
    file = Layout(root).workspaces / "dying" / "home" / "two"
    assert file.exists()
    await bring_in(root, known={"dying"} if is_known else set())
    assert file.exists() is is_known
    assert list(Layout(root).drafts.iterdir()) == []


async def test_files_that_a_living_process_brings_in_are_left_alone(root: Path) -> None:
    with importing(root, DATA) as process:
        wait_for_block(process)
        await bring_in(root, known=set())
        assert (Layout(root).workspaces / "dying" / "home" / "two").exists()


async def test_delete_removes_the_mark_of_an_import_that_was_killed_after_its_commit(root: Path) -> None:
    with importing(root, DATA) as process:
        wait_for_block(process)
    await LocalProvider(root, isolation=Isolation("plain")).destroy(replace(workspace(), id="dying"))
    assert leftovers(root) == []


# --- full disks -----------------------------------------------------------------------------------


async def test_an_archive_that_needs_more_than_is_free_is_refused_before_the_disk_is_full(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.mkdir()
    monkeypatch.setattr(files_unpack, "_free_bytes", lambda _: files_unpack.SPARE + 400_000)
    provider = LocalProvider(root, isolation=Isolation("plain"))
    with pytest.raises(ProviderError, match="needs more than") as told:
        async with provider.unpack(workspace(), io.BytesIO(DATA), nobody):
            pytest.fail("the block was entered")
    assert "disk space" in told.value.hint
    assert leftovers(root) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    point = tmp_path / "small"
    point.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", point], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small file system can be mounted: {mounted.stderr.strip()}")
    yield point
    subprocess.run(["umount", "-l", point], check=True)


async def test_a_disk_that_gets_full_leaves_nothing_of_an_import(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_unpack, "SPARE", -(10**9))
    provider = LocalProvider(small_disk / "root", isolation=Isolation("plain"))
    data = archive(member("home/one", content=bytes(10_000)), member("home/two", content=bytes(3_000_000)))
    with pytest.raises(ProviderError, match="no space left") as told:
        async with provider.unpack(workspace(), io.BytesIO(data), nobody):
            pytest.fail("the block was entered")
    assert "disk space" in told.value.hint
    assert leftovers(small_disk / "root") == []


def test_a_member_is_no_larger_than_it_says() -> None:
    data = tar.header(Member("home/a", "file", size=3)) + b"abc" + tar.padding(3) + tar.END
    ((_, content),) = [(m, c.read(100) + c.read(100)) for m, c in tar.read_members(io.BytesIO(data))]
    assert content == b"abc"
