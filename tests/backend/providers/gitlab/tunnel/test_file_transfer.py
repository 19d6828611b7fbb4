"""Files from a job and to it: whole or not at all, and never anywhere else, whatever the other side sends."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend.job.conftest import SHELLS
from wsdash.backend.archive import ArchiveError, tar
from wsdash.backend.providers.errors import PermanentError
from wsdash.backend.providers.gitlab.tunnel import file_transfer


def made(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, data in members:
            info = tarfile.TarInfo(path)
            info.type, info.size = kind, len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


WORK = made(("projects/app/draft.txt", b"unsaved\n"), ("home/dot", b"mine\n"), ("volumes/cache/x", b"kept\n"))


def sent(data: bytes, folder: Path, *, code: int = 0, text: str = "") -> tuple[str, ...]:
    """A job that sends these bytes."""
    (folder / "sent").write_bytes(data)
    return (
        "sh",
        "-c",
        'cat "$1"; printf "%s\\n" "$2" >&2; exit "$3"',
        "sh",
        str(folder / "sent"),
        text,
        str(code),
    )


def names(data: bytes) -> list[str]:
    return [member.path for member, _ in tar.read_members(io.BytesIO(data))]


def test_what_a_job_sends_is_written_anew(tmp_path: Path) -> None:
    sink = io.BytesIO()
    packed = file_transfer.pack(sent(WORK, tmp_path), "app", sink)
    assert names(sink.getvalue()) == ["projects/app/draft.txt", "home/dot", "volumes/cache/x"]
    assert not packed.skipped and not packed.changed


@pytest.mark.parametrize(
    "data",
    [
        WORK[:700],
        b"",
        b"x" * 1024,
        made(("../outside", b"x")),
        made(("/etc/passwd", b"x")),
        made(("elsewhere/x", b"x")),
        made(("projects", b"x")),
    ],
)
def test_a_tar_that_is_cut_off_or_leads_out_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(PermanentError, match="arrived incomplete"):
        file_transfer.pack(sent(data, tmp_path), "app", io.BytesIO())


def test_what_the_job_could_not_read_is_no_export_and_what_changed_is_told(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"could not all be read: tar: home/x: Permission denied"):
        file_transfer.pack(
            sent(WORK, tmp_path, code=2, text="tar: home/x: Permission denied"), "app", io.BytesIO()
        )
    text = "tar: home/dot: file changed as we read it"
    assert file_transfer.pack(sent(WORK, tmp_path, code=1, text=text), "app", io.BytesIO()).changed == (
        "home/dot",
    )
    text = "tar: home/sock: socket ignored"
    assert file_transfer.pack(sent(WORK, tmp_path, text=text), "app", io.BytesIO()).skipped == ("home/sock",)


@given(st.integers(0, len(WORK) - 1), st.binary(max_size=8))
def test_no_damage_is_taken_for_a_whole_import(at: int, wrong: bytes) -> None:
    damaged = WORK[:at] + wrong + WORK[at + len(wrong) :] if wrong else WORK[:at]
    out = io.BytesIO()
    try:
        file_transfer.spool(io.BytesIO(damaged), out)
    except ArchiveError:
        return
    assert all(
        name.split("/")[0] in ("projects", "home", "volumes", file_transfer.COMPLETE)
        for name in names(out.getvalue())
    )


class Job:
    """The folders of one that waits for its files."""

    def __init__(self, folder: Path, shell: tuple[str, ...] = ("sh",)) -> None:
        self.shell = shell
        self.base, self.run = folder / ".wsdash", folder / ".wsdash" / "run"
        for name in ("projects/app", "home", "volumes/cache", "volumes/other", "run"):
            (self.base / name).mkdir(parents=True)
        (self.base / "volumes/other/kept").touch()
        (self.run / "expects").touch()

    def take(self, data: bytes) -> int:
        env = {**os.environ, "PROJECTS_ROOT": str(self.base / "projects"), "WSDASH_RUN": str(self.run)}
        return subprocess.run(
            (*self.shell, *file_transfer.take()[1:]),
            input=data,
            env=env,
            cwd=self.base / "projects",
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.run.iterdir())

    @property
    def has_received(self) -> bool:
        return (self.run / "received").exists()


def spooled() -> bytes:
    out = io.BytesIO()
    file_transfer.spool(io.BytesIO(WORK), out)
    return out.getvalue()


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_a_job_takes_its_files_once(tmp_path: Path, shell: tuple[str, ...]) -> None:
    job = Job(tmp_path, shell)
    assert job.take(spooled()) == 0
    assert job.has_received
    assert (job.base / "projects/app/draft.txt").read_text() == "unsaved\n"
    assert (job.base / "volumes/cache/x").exists() and (job.base / "volumes/other/kept").exists()
    (job.base / "projects/app/draft.txt").write_text("changed\n")
    assert job.take(spooled()) == 0
    assert (job.base / "projects/app/draft.txt").read_text() == "changed\n"


@pytest.mark.parametrize("length", [0, 100, 512, 1024, 1536, 2048, 3071])
def test_a_line_that_breaks_leaves_nothing_and_the_next_try_brings_all(tmp_path: Path, length: int) -> None:
    job = Job(tmp_path)
    assert job.take(spooled()[:length]) != 0
    assert not job.has_received and job.left == ["expects"]
    assert not any((job.base / "projects/app").iterdir())
    assert job.take(spooled()) == 0
    assert job.has_received
