"""Streams of bytes between threads: what they need to have, and how their work is given up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")
CHUNK = 256 * 1024


class ByteSource(Protocol):
    """What is read from. `close`, from any thread, makes a read that waits or follows fail."""

    def read(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class ByteSink(Protocol):
    """What is written to, always all of it. `close`, from any thread, makes a write that follows fail."""

    def write(self, data: bytes, /) -> int: ...
    def close(self) -> None: ...


class StreamFailed(Exception):
    """The archive's own file or pipe failed, as opposed to the files that go in or come out."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Closed(Exception):
    """The stream was closed while it was in use: its caller has given up."""


class ByteStream:
    """Counts the bytes of a stream, tells `progress` how many have passed, and can be closed by any thread."""

    def __init__(self, progress: Callable[[int], None] = lambda _: None) -> None:
        self._progress = progress
        self._stop = threading.Event()
        self.count = 0

    @property
    def is_closed(self) -> bool:
        return self._stop.is_set()

    def close(self) -> None:
        self._stop.set()

    def check(self) -> None:
        """Raises Closed."""
        if self._stop.is_set():
            raise Closed

    def passed(self, data: bytes) -> bytes:
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
