"""Imported files wait for their job: whole or not at all, and only for workspaces that are there."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.backend.builders import workspace
from tests.waiting import until
from wsdash.backend.archive import ArchiveError
from wsdash.backend.providers.errors import PermanentError, ProviderError
from wsdash.backend.providers.gitlab.tunnel import file_transfer
from wsdash.backend.providers.gitlab.tunnel.imports import PendingImports
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.config.settings import GitLabSettings

OWN = workspace()


class Tunnel(JobTunnel):
    """A tunnel to a job that takes files with this command; None is no tunnel."""

    def __init__(self) -> None:
        super().__init__(None, GitLabSettings("https://gitlab.example", "group/app"))
        self.takes: str | None = None
        self.asked = 0

    async def command(self, workspace_id: str, name: str, argv: tuple[str, ...]) -> tuple[str, ...]:
        self.asked += 1
        if self.takes is None:
            raise PermanentError("no tunnel", "")
        return ("sh", "-c", self.takes)


@pytest.fixture
def tunnel() -> Tunnel:
    return Tunnel()


@pytest.fixture
def imports(tmp_path: Path, tunnel: Tunnel) -> PendingImports:
    return PendingImports(tmp_path / "incoming", tunnel)


def files(cut: int | None = None) -> io.BytesIO:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        info = tarfile.TarInfo("projects/a")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    return io.BytesIO(data.getvalue()[:cut])


async def known() -> set[str]:
    return {OWN.id}


async def receive(
    imports: PendingImports, source: io.BytesIO, then: Callable[[], object] = lambda: None
) -> None:
    async with imports.receive(OWN, source, known):
        then()


async def test_files_are_there_in_the_block_and_stay_for_the_user_alone(
    imports: PendingImports, tmp_path: Path
) -> None:
    async with imports.receive(OWN, files(), known):
        assert imports.has(OWN.id)
    (file,) = (tmp_path / "incoming").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    with tarfile.open(file) as tar:
        assert "projects/a" in tar.getnames()
    with pytest.raises(PermanentError, match="already has files"):
        await receive(imports, files())
    assert imports.has(OWN.id)
    imports.drop(OWN.id)
    assert not imports.has(OWN.id)


async def test_a_block_that_fails_and_an_archive_that_is_cut_off_leave_nothing(
    imports: PendingImports, tmp_path: Path
) -> None:
    def fail() -> None:
        raise RuntimeError("the name is taken")

    with pytest.raises(RuntimeError, match="taken"):
        await receive(imports, files(), fail)
    with pytest.raises(ArchiveError):
        await receive(imports, files(700))
    assert list((tmp_path / "incoming").iterdir()) == []


async def test_a_full_disk_is_named_and_leaves_nothing(
    imports: PendingImports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file_transfer, "spool", full)
    with pytest.raises(ProviderError, match="No space left on device"):
        await receive(imports, files())
    assert list((tmp_path / "incoming").iterdir()) == []


async def test_files_of_workspaces_that_nobody_knows_go_with_the_next_import(
    imports: PendingImports, tmp_path: Path
) -> None:
    (tmp_path / "incoming").mkdir(mode=0o700)
    (tmp_path / "incoming" / "lost.tar").touch()
    await receive(imports, files())
    assert [file.stem for file in (tmp_path / "incoming").iterdir()] == [OWN.id]


async def test_files_are_sent_until_the_job_of_an_attempt_has_them(
    imports: PendingImports, tunnel: Tunnel, tmp_path: Path
) -> None:
    async def sent(attempt: str) -> None:
        imports.send(OWN.id, attempt)
        await until(lambda: len(imports._sending) == 0, what="the end of the sending")

    await sent("a1")
    assert tunnel.asked == 0, "there is nothing to send yet"
    await receive(imports, files())
    for takes in (None, "exit 1", f"cat >{tmp_path}/got", "false"):
        tunnel.takes = takes
        await sent("a1")
    assert tunnel.asked == 3, "what has been taken is not sent again"
    assert (tmp_path / "got").read_bytes() == (tmp_path / "incoming" / f"{OWN.id}.tar").read_bytes()
    tunnel.takes = "cat >/dev/null"
    await sent("a2")
    assert tunnel.asked == 4, "the next attempt gets them too"
    await imports.aclose()
