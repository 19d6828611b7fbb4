"""Whether whoever watches over a job on this machine is still there: one look into /proc, and no other process asked.

What the state store says of a job was true when the reconciler last looked. A machine that was restarted, and
processes that were killed together with it, are noticed here.
"""

from __future__ import annotations

import json
from pathlib import Path

from wsdash.backend.locks import is_locked
from wsdash.backend.processes import ProcessIdentity


class Supervision:
    """Looks for supervisors of local jobs, whose records lie in `contexts/CONTEXT/jobs/ATTEMPT`. Blocks."""

    def __init__(self, contexts: Path) -> None:
        self._contexts = contexts
        self._supervisors: dict[str, ProcessIdentity] = {}
        self._local: dict[str, bool] = {}

    def is_gone(self, context: str, attempt_id: str) -> bool:
        """Whether the attempt had a supervisor that has ended. False where there never was one."""
        jobs = self._contexts / context / "jobs"
        if not self._is_local(context, jobs):
            return False
        supervisor = self._supervisors.get(attempt_id)
        if supervisor is None:
            supervisor = _supervisor(jobs / attempt_id / "supervisor.json")
            if supervisor is None:
                return False
            self._supervisors[attempt_id] = supervisor
        # One in another pid namespace has no pid here, but its lock holds.
        return not supervisor.is_alive() and not (
            supervisor.is_of_this_boot() and is_locked(jobs / attempt_id / "lock")
        )

    def _is_local(self, context: str, jobs: Path) -> bool:
        found = self._local.get(context, False)
        if not found:
            found = self._local[context] = jobs.is_dir()
        return found


def _supervisor(file: Path) -> ProcessIdentity | None:
    try:
        record = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return ProcessIdentity.from_record(record if isinstance(record, dict) else None)
