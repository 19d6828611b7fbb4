"""Streams of bytes between threads: their protocols, byte counting, and cancellation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")
CHUNK = 256 * 1024


class ByteSource(Protocol):
    """A stream to read from. `close`, from any thread, makes a pending or later read fail."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""

    def close(self) -> None:
        """Make a pending or later `read` fail. Any thread may call it."""


class ByteSink(Protocol):
    """A stream to write to; each write takes all bytes. `close`, from any thread, makes later writes fail."""

    def write(self, data: bytes, /) -> int:
        """Write all of the bytes and return their number."""

    def close(self) -> None:
        """Make later writes fail. Any thread may call it."""


class StreamFailed(Exception):
    """The archive's own file or pipe failed, as opposed to the workspace's files."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Closed(Exception):
    """The stream was closed while in use: its caller was cancelled."""


class ByteStream:
    """Counts the bytes of a stream, reports the total to `progress`, and can be closed by any thread."""

    def __init__(self, progress: Callable[[int], None] = lambda _: None) -> None:
        self._progress = progress
        self._stop = threading.Event()
        self.count = 0

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._stop.is_set()

    def close(self) -> None:
        """Make every later `check` raise `Closed`."""
        self._stop.set()

    def check(self) -> None:
        """Raise `Closed` once the stream is closed."""
        if self._stop.is_set():
            raise Closed

    def passed(self, data: bytes) -> bytes:
        """Count the bytes, report the total to `progress`, and return the bytes."""
        self.count += len(data)
        self._progress(self.count)
        return data


async def in_thread(work: Callable[[], T], stream: ByteSource | ByteSink | None = None) -> T:
    """Run work in a thread. When cancelled, close the stream it works on, and wait until it has ended."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if stream is not None:
            stream.close()
        await asyncio.gather(running, return_exceptions=True)
        raise
