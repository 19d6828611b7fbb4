"""Transfers a workspace's files from and to its job, through the user's ssh. Every call blocks, and trusts no tar."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO

from wsdash.backend.archive import ArchiveError, tar
from wsdash.backend.archive.entries import entry_of
from wsdash.backend.archive.streams import CHUNK, ByteSink, ByteSource
from wsdash.backend.job.shell import program
from wsdash.backend.providers.errors import PermanentError
from wsdash.backend.providers.types import PackReport
from wsdash.sanitize import one_line

COMPLETE = "complete"
"""The last member of a complete tar: tar itself does not notice a truncation between two members."""

SEND = ("sh", "-c", 'cd "$PROJECTS_ROOT/.." && exec tar -cf - projects home volumes')
_SKIPPED = re.compile(r"tar: (.*): socket ignored")
_CHANGED = re.compile(r"tar: (.*): file changed as we read it|tar: (.*): File removed before we read it")


@cache
def take() -> tuple[str, ...]:
    """Return the command that reads the tar in a job that expects it: the files appear completely or not at all."""
    return ("sh", "-c", program("take_import.sh"))


def clean(source: ByteSource, sink: ByteSink, *, skips: bool) -> list[str]:
    """Copy each member that a workspace may have; return the paths of the others.

    Raises ArchiveError for an invalid tar, and without `skips` for any other member.
    """
    skipped = []
    for member, content in tar.read_members(source):
        if skips and member.kind == "special":
            skipped.append(member.path)
            continue
        entry = entry_of(member)
        if entry is None:
            continue
        target = "/".join(entry.link) if entry.kind == "hardlink" else entry.target
        sink.write(
            tar.header(tar.Member(entry.path, entry.kind, entry.mode, entry.mtime_ns, entry.size, target))
        )
        while data := content.read(CHUNK):
            sink.write(data)
        sink.write(tar.padding(entry.size))
    return skipped


def pack(argv: Sequence[str], name: str, sink: ByteSink) -> PackReport:
    """Write the output of `SEND`, run by `argv`. Raises PermanentError."""
    with tempfile.TemporaryFile() as stderr:
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr
        ) as process:
            assert process.stdout is not None
            try:
                skipped = clean(process.stdout, sink, skips=True)
                while process.stdout.read(CHUNK):
                    pass
            except ArchiveError as error:
                process.kill()
                process.wait()
                raise PermanentError(
                    f"the files of {name} arrived incomplete: {_last_line(stderr) or error}",
                    "Export it again.",
                ) from error
            except BaseException:
                process.kill()
                raise
        lines = _lines(stderr)
        changed = [found[1] or found[2] for line in lines if (found := _CHANGED.fullmatch(line))]
        skipped += [found[1] for line in lines if (found := _SKIPPED.fullmatch(line))]
        # GNU tar's exit code 1 means "some files differ"; other tars use it for any error.
        if process.returncode and not (process.returncode == 1 and changed):
            raise PermanentError(
                f"the files of {name} could not all be read: {_last_line(stderr)}",
                "Change their mode or owner in the workspace (`wsdash ssh`), then export it again.",
            )
    sink.write(tar.END)
    return PackReport(tuple(skipped), tuple(changed))


def spool(source: ByteSource, file: IO[bytes]) -> None:
    """Write the tar in the form that `take` reads. Raises ArchiveError, OSError."""
    clean(source, _Writing(file), skips=False)
    file.write(tar.header(tar.Member(COMPLETE, "file", 0o600)) + tar.END)


def push(argv: Sequence[str], file: Path) -> str | None:
    """Run `take` by `argv` with the file as its input; return its error, None if it succeeded."""
    with file.open("rb") as tarred, tempfile.TemporaryFile() as stderr:
        done = subprocess.run(argv, stdin=tarred, stdout=subprocess.DEVNULL, stderr=stderr, check=False)
        return (_last_line(stderr) or f"status {done.returncode}") if done.returncode else None


class _Writing:
    """A file as a sink: closing the sink aborts the copy; the file's owner closes the file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: bytes, /) -> int:
        return self._file.write(data)

    def close(self) -> None:
        return


def _lines(stderr: IO[bytes]) -> list[str]:
    stderr.seek(0)
    return stderr.read(CHUNK).decode("utf-8", "replace").splitlines()


def _last_line(stderr: IO[bytes]) -> str:
    return one_line((_lines(stderr) or [""])[-1])[:200]
