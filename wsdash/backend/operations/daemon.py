"""The reconciler without a dashboard: a separate process that outlives the terminal."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from wsdash.backend.operations.queries import Queries
from wsdash.backend.operations.state import State
from wsdash.backend.store.reader import WorkspaceRow
from wsdash.backend.system import environments
from wsdash.backend.system.clock import boot_time
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.backend.system.spawn import detach
from wsdash.model import Desired, Phase
from wsdash.paths import Paths

IDLE_EXIT_S = 300.0
"""Longest time, in seconds, that a daemon that was started automatically runs without work."""


def spawn(paths: Paths) -> int:
    """Start a detached daemon and return its pid. It exits at once if another process reconciles."""
    paths.prepare()
    return detach(
        [sys.executable, "-m", "wsdash", "daemon", "--idle-exit", f"{IDLE_EXIT_S:g}"],
        log=paths.daemon_log,
        env={**environments.basic(os.environ), environments.GIVEN: "stdin"},
        stdin=environments.packed({**os.environ, **environments.received}, with_tokens=True),
    ).pid


@dataclass(frozen=True, slots=True)
class Reconciling:
    """The process that keeps the jobs alive: `this` one, a `daemon`, another `dashboard`, or `nobody`."""

    by: str
    pid: int | None


class Daemon:
    """Reports whether a process reconciles, and starts a daemon if none does."""

    def __init__(self, state: State, queries: Queries) -> None:
        self._state = state
        self._queries = queries

    async def reconciling(self) -> Reconciling:
        """Return the process that reconciles now."""
        lease = await self._state.store.lease()
        if lease is None or not self._state.store.is_held(lease, boot_time()):
            return Reconciling("nobody", None)
        own = lease.holder == ProcessIdentity.own()
        return Reconciling("this" if own else lease.owner, lease.holder.pid)

    async def ensure_reconciler(self) -> None:
        """Start a detached daemon unless a process reconciles already."""
        if (await self.reconciling()).by == "nobody":
            spawn(self._state.paths)

    async def until_upgraded(self) -> None:
        """Return once wsdash was upgraded under this process, and the new code can be started."""
        from wsdash.backend.operations.upgrades import code_changes

        await code_changes()

    async def hand_over(self) -> bool:
        """Before this process ends, start a daemon if there is a workspace to keep alive or to end.

        Return whether it did. The user's config.toml may forbid it (`handover`).
        """
        from wsdash.config.settings import load_config

        if not load_config(self._state.paths.config_file).dashboard.handover:
            return False
        rows = await self._queries.workspaces()
        if not any(_needs_care(row) for row in rows):
            return False
        if (await self.reconciling()).by in ("nobody", "this"):
            spawn(self._state.paths)
            return True
        return False


def _needs_care(row: WorkspaceRow) -> bool:
    return row.workspace.desired is not Desired.STOPPED or row.status.phase is Phase.STOPPING
