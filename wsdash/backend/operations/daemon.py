"""The reconciler without a dashboard: a process of its own that outlives the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

from wsdash.backend.system import environments
from wsdash.paths import Paths

LARGEST_LOG = 1024 * 1024
"""Bytes after which a new daemon begins a new log and keeps the last one."""
IDLE_EXIT_S = 300.0
"""A daemon that was started by itself ends when it has had nothing to do for this long."""


def spawn(paths: Paths) -> int:
    """Start a detached daemon and return its pid. It leaves at once if another process reconciles."""
    paths.prepare()
    if paths.daemon_log.exists() and paths.daemon_log.stat().st_size > LARGEST_LOG:
        paths.daemon_log.replace(paths.daemon_log.with_suffix(".log.1"))
    log = os.open(paths.daemon_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "wsdash", "daemon", "--idle-exit", f"{IDLE_EXIT_S:g}"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**environments.basic(os.environ), environments.GIVEN: "stdin"},
            start_new_session=True,
        )
    finally:
        os.close(log)
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin:
        given = {**os.environ, **environments.received}
        process.stdin.write(environments.packed(given, with_tokens=True))
    return process.pid
