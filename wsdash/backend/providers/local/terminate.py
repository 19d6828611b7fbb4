"""Cancels, force-cancels and cleans up after jobs, with or without a live supervisor. Blocking."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.local.layout import JobFiles
from wsdash.backend.providers.local.supervisor import notify, process_tree
from wsdash.backend.providers.local.supervisor.main import take_lock
from wsdash.backend.providers.local.supervisor.marks import Mark
from wsdash.backend.system.files import json_files, locks
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.model import Cause

_PATIENCE_S = 15.0
"""Longest time, in seconds, that a supervisor may take to end its job at once."""


class Ender:
    """Ends jobs by their files. `listeners` is the folder of the sockets to notify."""

    def __init__(self, clock: Callable[[], float], listeners: Path) -> None:
        self._clock = clock
        self._listeners = listeners

    def cancel(self, files: JobFiles, owner: dict[str, object], grace_s: float) -> None:
        """Ask the job to end within the grace period; an attempt without a job never gets one.

        `owner` is the attempt's owner, as in `spec.json`.
        """
        with locks.filling(files.folder.parent):
            self._cancel(files, owner, grace_s)

    def _cancel(self, files: JobFiles, owner: dict[str, object], grace_s: float) -> None:
        files.folder.mkdir(mode=0o700, exist_ok=True)
        if files.exit.exists():
            return
        # First the request, then the signal: a supervisor that is just starting reads the request by itself.
        with contextlib.suppress(OSError):
            json_files.write(files.cancel, {"grace_s": grace_s, "at": self._clock()})
        supervisor = ProcessIdentity.from_record(json_files.read(files.supervisor))
        if supervisor is not None:
            supervisor.send(signal.SIGTERM)
            return
        lock = take_lock(files.lock, 0.0, until=files.supervisor)
        if lock is None:
            return
        try:
            if not files.supervisor.exists():
                self._mark_never_launched(files, owner)
        finally:
            os.close(lock)

    def force_cancel(self, files: JobFiles, owner: dict[str, object]) -> None:
        """End the job now, and wait for it and its supervisor.

        Raises ProviderError if one of its processes cannot be ended.
        """
        self.cancel(files, owner, 0.0)
        supervisor = ProcessIdentity.from_record(json_files.read(files.supervisor))
        if supervisor is not None:
            supervisor.send(signal.SIGCONT)  # a stopped process would not react to the request
        if supervisor is not None and not _await_end(supervisor, _PATIENCE_S):
            supervisor.send(signal.SIGKILL)
            _await_end(supervisor, _PATIENCE_S)
        if files.exit.exists():
            return
        lock = take_lock(files.lock, _PATIENCE_S, files.exit, fcntl.LOCK_SH)
        if lock is None:
            if files.exit.exists():
                return
            raise ProviderError(
                "the job's supervisor cannot be ended",
                f"It runs in a pid namespace out of reach; it holds {files.lock}.",
            )
        try:
            self._sweep(files)
        finally:
            os.close(lock)

    def _sweep(self, files: JobFiles) -> None:
        """End the processes left by a dead supervisor, then record the end."""
        spec = json_files.read(files.spec) or {}
        cleanup = spec.get("cleanup")
        for argv in cleanup if isinstance(cleanup, list) else []:
            _run_quietly(argv)
        left = process_tree.end_marked(Mark.of(files), _PATIENCE_S)
        if left:
            pids = " ".join(map(str, left))
            raise ProviderError(f"processes of the job cannot be ended: {pids}", f"Try: sudo kill -9 {pids}")
        message = "the supervisor of the job had died; the rest of the job was ended"
        self._record(files, {"cause": Cause.RUNNER_LOST, "message": message})

    def _mark_never_launched(self, files: JobFiles, owner: dict[str, object]) -> None:
        if not files.spec.exists():
            json_files.write(files.spec, {**owner, "created_at": self._clock()})
        self._record(files, {"cause": Cause.CANCELLED, "message": "cancelled before it was started"})

    def _record(self, files: JobFiles, ending: dict[str, object]) -> None:
        json_files.write_reserved(files.exit, {"exit_code": None, **ending, "at": self._clock()})
        notify.send(self._listeners, files.folder.name)


def _await_end(supervisor: ProcessIdentity, timeout_s: float) -> bool:
    """Return whether the process has ended within the time."""
    try:
        descriptor = os.pidfd_open(supervisor.pid)
    except ProcessLookupError:
        return True
    try:
        if not supervisor.is_alive():
            return True
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return bool(poller.poll(timeout_s * 1000))
    finally:
        os.close(descriptor)


def _run_quietly(argv: list[str]) -> None:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(argv, capture_output=True, timeout=_PATIENCE_S, check=False)
