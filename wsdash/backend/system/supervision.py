"""Checks by one read of /proc whether the supervisor of a local job is alive.

The state store's job states date from the reconciler's last poll. This check notices a restarted machine, and
supervisors that were killed together with the reconciler.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from wsdash.backend.system.files.locks import is_locked
from wsdash.backend.system.processes import ProcessIdentity


class Supervision:
    """Checks the supervisors of local jobs, whose records are in `contexts/CONTEXT/jobs/ATTEMPT`. Blocks."""

    def __init__(self, contexts: Path) -> None:
        self._contexts = str(contexts)
        self._supervisors: dict[str, ProcessIdentity] = {}
        self._jobs: dict[str, frozenset[str]] = {}

    def look_again(self) -> None:
        """List the jobs again at the next query: once for all workspaces of a list."""
        self._jobs.clear()

    def is_gone(self, context: str, attempt_id: str) -> bool:
        """Whether the attempt had a supervisor that has ended. False if it never had one."""
        jobs = self._jobs.get(context)
        if jobs is None:
            jobs = self._jobs[context] = _names(f"{self._contexts}/{context}/jobs")
        if attempt_id not in jobs:
            return False
        folder = Path(self._contexts, context, "jobs", attempt_id)
        supervisor = self._supervisors.get(attempt_id)
        if supervisor is None:
            supervisor = _supervisor(folder / "supervisor.json")
            if supervisor is None:
                return False
            self._supervisors[attempt_id] = supervisor
        # A supervisor in another pid namespace has no pid here, but holds its lock.
        return not supervisor.is_alive() and not (supervisor.is_of_this_boot() and is_locked(folder / "lock"))


def _names(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return frozenset()


def _supervisor(file: Path) -> ProcessIdentity | None:
    try:
        record = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return ProcessIdentity.from_record(record if isinstance(record, dict) else None)
