"""Runs a command to its end, with bounds on its time and its output."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PIPES_S = 1.0
"""Longest wait for output after the end of the command, in seconds: processes that it left may hold the pipes."""
ERRORS_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Captured:
    """A command's output. `exit_code` is None if it was killed for its time or the size of its output."""

    exit_code: int | None
    output: bytes
    errors: bytes


async def capture(
    argv: Sequence[str],
    *,
    limit: int,
    timeout_s: float,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = "/",
) -> Captured:
    """Return the first `limit` bytes of a command's output, and the first `ERRORS_LIMIT` of its errors.

    The command runs in its own session, without a terminal. It and its children are killed after `timeout_s`,
    at a longer output, and when the caller is cancelled; processes that an ended command left running
    continue. Raises OSError if it cannot be started.
    """
    pipe = asyncio.subprocess.PIPE
    starting = asyncio.ensure_future(
        asyncio.get_running_loop().subprocess_exec(
            lambda: _Command(limit), *argv,
            stdin=pipe, stdout=pipe, stderr=pipe, env=env, cwd=cwd, start_new_session=True,
        )
    )  # fmt: skip
    try:
        transport, command = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # An asyncio transport that is cancelled before its pipes are connected waits for them forever.
        with suppress(OSError):
            await _end(*await starting)
        raise
    exit_code = None
    try:
        _feed(transport, stdin)
        await _first(command.exited, command.too_much, timeout_s)
        if command.exited.is_set():
            await _first(command.pipes_closed, command.too_much, PIPES_S)
        if not command.too_much.is_set():
            exit_code = transport.get_returncode()
    finally:
        if exit_code is None:
            await _end(transport, command)
        transport.close()
    return Captured(exit_code, bytes(command.output), bytes(command.errors))


async def _end(transport: asyncio.SubprocessTransport, command: _Command) -> None:
    """Kill the command and every process of its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    transport.close()
    await command.exited.wait()


class _Command(asyncio.SubprocessProtocol):
    """Notices the end of the process even while its children hold its pipes open."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pipes = {1, 2}
        self.output, self.errors = bytearray(), bytearray()
        self.too_much, self.exited, self.pipes_closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        found, limit = (self.output, self._limit) if fd == 1 else (self.errors, ERRORS_LIMIT)
        room = limit - len(found)
        found += data[:room]
        if fd == 1 and len(data) > room:
            self.too_much.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._pipes.discard(fd)
        if not self._pipes:
            self.pipes_closed.set()

    def process_exited(self) -> None:
        self.exited.set()


def _feed(transport: asyncio.SubprocessTransport, data: bytes) -> None:
    stream = transport.get_pipe_transport(0)
    assert isinstance(stream, asyncio.WriteTransport)
    stream.write(data)
    stream.write_eof()


async def _first(one: asyncio.Event, other: asyncio.Event, timeout_s: float) -> None:
    """Wait for either event, at most that long."""
    waits = [asyncio.ensure_future(event.wait()) for event in (one, other)]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
