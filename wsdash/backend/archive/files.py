"""An archive as a file or a pipe: compressed or not, and written completely or not at all. Every call may block."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import select
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from wsdash.backend.archive import ArchiveError
from wsdash.backend.archive.streams import CHUNK, ByteStream, Closed, StreamFailed
from wsdash.backend.errors import UserError

_LOOK_MS = 200
_MOST_AFTER_END = 1024 * 1024
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_LEVEL = 6


class ArchiveReader(ByteStream):
    """An archive to read, from a path or an open descriptor; decompressed if it is compressed."""

    def __init__(self, file: Path | int, progress: Callable[[int], None] = lambda _: None) -> None:
        super().__init__(progress)
        self._file = file
        self._raw: _Input | None = None
        self._stream: IO[bytes] | None = None

    def read(self, size: int, /) -> bytes:
        """Read the next decompressed bytes. Raises UserError when the file cannot be opened, ArchiveError when
        its compression is damaged, StreamFailed when it cannot be read.
        """
        self.check()
        try:
            if self._stream is None:
                self._stream = self._open()
            return self.passed(self._stream.read(size))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ArchiveError(f"the archive is incomplete or damaged: {error}") from error
        except OSError as error:
            raise StreamFailed(error) from error

    def read_to_end(self) -> None:
        """Read past the end mark, so that the compression's checksum is compared. Raises ArchiveError."""
        left = _MOST_AFTER_END
        while data := self.read(CHUNK):
            left -= len(data)
            if left < 0:
                raise ArchiveError("the archive has data after its end mark")

    def release(self) -> None:
        """Close a file that this reader opened, once nothing reads it."""
        self.close()
        if self._raw is not None and not isinstance(self._file, int):
            os.close(self._raw.descriptor)
        self._raw = None

    def _open(self) -> IO[bytes]:
        if isinstance(self._file, int):
            self._raw = _Input(self._file, self)
        else:
            # Non-blocking: opening a named pipe would otherwise wait for its writer, and `close` could not interrupt
            # that.
            self._raw = _Input(os.open(self._file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), self)
        buffered = io.BufferedReader(self._raw, CHUNK)
        start = buffered.peek(len(_ZSTD))
        if start.startswith(_ZSTD):
            raise ArchiveError("the archive is compressed with zstd; decompress it first (zstd -d)")
        if start.startswith(_GZIP):
            return cast("IO[bytes]", gzip.GzipFile(fileobj=buffered, mode="rb"))
        return buffered


class ArchiveWriter(ByteStream):
    """Writes an archive, readable by the user alone, to a path or an open descriptor.

    It is compressed unless the path ends in `.tar`. The path appears, complete and on the disk, only with
    `finish`; `force` lets it replace another file.
    """

    def __init__(
        self, file: Path | int, progress: Callable[[int], None] = lambda _: None, *, force: bool = False
    ) -> None:
        super().__init__(progress)
        self._file = file
        self._force = force
        self._partial: Path | None = None
        self._raw: IO[bytes] | _Output | None = None
        self._gzip: gzip.GzipFile | None = None

    def open(self) -> None:
        """Open the target. Raises UserError for a path that exists or is read-only, StreamFailed for a descriptor."""
        if isinstance(self._file, int):
            self._raw = _Output(self._file, self)
        else:
            _check_new(self._file, force=self._force)
            self._raw, self._partial = _sibling(self._file)
        if isinstance(self._file, int) or self._file.suffix != ".tar":
            with _or_failed():  # a header is written at once
                self._gzip = gzip.GzipFile("", "wb", _LEVEL, cast("IO[bytes]", self._raw))

    def write(self, data: bytes, /) -> int:
        """Write all of the bytes. Raises StreamFailed, as `finish` does."""
        self.check()
        stream = self._gzip or self._raw
        assert stream is not None, "it is open"
        with _or_failed():
            stream.write(data)
        return len(self.passed(data))

    def finish(self) -> int:
        """Move the archive to its path and return its size in bytes as written. Raises UserError, as `open`
        does.
        """
        assert self._raw is not None, "it is open"
        with _or_failed():
            if self._gzip is not None:
                self._gzip.close()
            self._raw.flush()
            if isinstance(self._raw, _Output):
                return self._raw.count
            size = os.fstat(self._raw.fileno()).st_size
            os.fsync(self._raw.fileno())
            assert self._partial is not None and isinstance(self._file, Path)
            _put_in_place(self._partial, self._file, force=self._force)
            return size

    def release(self) -> None:
        """Remove an unfinished archive, once nothing writes to it."""
        self.close()
        # Closing writes once more, which must happen before the file is removed.
        with contextlib.suppress(OSError, ValueError, Closed):
            if self._gzip is not None:
                self._gzip.close()
        with contextlib.suppress(OSError):
            if self._raw is not None and not isinstance(self._raw, _Output):
                self._raw.close()
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)


class _Input(io.RawIOBase):
    """A descriptor, perhaps of a pipe, to read from; closing the watch ends a wait on it."""

    def __init__(self, descriptor: int, watch: ByteStream) -> None:
        self.descriptor = descriptor
        self._watch = watch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        _wait(self.descriptor, select.POLLIN, self._watch)
        return os.readv(self.descriptor, [buffer])


class _Output:
    """A descriptor, perhaps of a pipe, to write to; closing the watch ends a wait on it."""

    def __init__(self, descriptor: int, watch: ByteStream) -> None:
        self._descriptor = descriptor
        self._watch = watch
        self.count = 0

    def write(self, data: bytes, /) -> int:
        rest = memoryview(data)
        while rest:
            _wait(self._descriptor, select.POLLOUT, self._watch)
            # A pipe that is writable takes at least this much without blocking (POSIX `write`).
            rest = rest[os.write(self._descriptor, rest[: select.PIPE_BUF]) :]
        self.count += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: no bytes are buffered."""


def _wait(descriptor: int, event: int, watch: ByteStream) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    while not poll.poll(_LOOK_MS):
        watch.check()


def _sibling(file: Path) -> tuple[IO[bytes], Path]:
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:60]}.", suffix=".part")
    except OSError as error:
        raise UserError(
            f"{file} cannot be created: {error.strerror}", "Choose an existing, writable folder."
        ) from error
    return os.fdopen(handle, "wb"), Path(name)


def _check_new(file: Path, *, force: bool) -> None:
    if file.suffix in (".zst", ".zstd"):
        raise UserError(
            "zstd is not available here", "End the name in .tar.gz, or in .tar to compress it yourself."
        )
    try:
        mode = file.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        raise UserError(f"{file} is not a file", "Give the path of a file, or - for standard output.")
    if not force:
        raise _there_already(file)


def _put_in_place(partial: Path, file: Path, *, force: bool) -> None:
    if not force:
        try:
            os.link(partial, file)  # unlike a rename it never replaces an existing file
        except FileExistsError:
            raise _there_already(file) from None
        except OSError:  # a file system without hard links
            if file.exists():
                raise _there_already(file) from None
        else:
            return
    partial.rename(file)


def _there_already(file: Path) -> UserError:
    return UserError(f"{file} already exists", "Choose another name, or replace it with --force.")


@contextlib.contextmanager
def _or_failed() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StreamFailed(error) from error
