"""Starts a process that outlives this one."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path


def detach(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str],
    stdin: bytes = b"",
    connection: socket.socket | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command in its own session, in `/`, with its output appended to `log`.

    It reads `stdin`, or uses `connection` as its input and output, and then only its errors go to the log.
    Blocks until it has started. Raises OSError.
    """
    channel = None if connection is None else connection.fileno()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            argv,
            stdin=channel if channel is not None else subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=descriptor if channel is None else channel,
            stderr=descriptor,
            cwd="/",
            env=dict(env),
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(stdin)
    return process
