"""Imports that are killed or find the disk full leave nothing, and a committed one stays."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backend.providers.archives import archive, leftovers, member, nobody
from tests.backend.providers.contract import workspace
from tests.waiting import until_sync
from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.local import Isolation, LocalProvider
from wsdash.backend.providers.local.files import unpack as files_unpack
from wsdash.backend.providers.local.layout import Layout

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


async def test_an_archive_that_needs_more_than_is_free_is_refused_before_the_disk_is_full(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.mkdir()
    monkeypatch.setattr(files_unpack, "_free_bytes", lambda _: files_unpack.SPARE + 400_000)
    provider = LocalProvider(root, isolation=Isolation("plain"))
    with pytest.raises(ProviderError, match="needs more than") as output:
        async with provider.unpack(workspace(), io.BytesIO(DATA), nobody):
            pytest.fail("the block was entered")
    assert "disk space" in output.value.hint
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
    with pytest.raises(ProviderError, match="no space left") as output:
        async with provider.unpack(workspace(), io.BytesIO(data), nobody):
            pytest.fail("the block was entered")
    assert "disk space" in output.value.hint
    assert leftovers(small_disk / "root") == []
