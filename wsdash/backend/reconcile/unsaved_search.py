"""Searches a stopped workspace for unsaved work before its policy may delete it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from wsdash.backend.providers import unsaved_work
from wsdash.backend.providers.base import Provider
from wsdash.backend.providers.features import ReportsLeftWork
from wsdash.backend.reconcile.failures import log_failures
from wsdash.backend.rules.autodelete import autodelete, record_of
from wsdash.backend.store.fenced_store import FencedStore
from wsdash.model import Attempt, UnsavedTotals, Workspace


class UnsavedSearch:
    """Searches one workspace at a time in the background, because a search may take a minute.

    `on_found` is called with a workspace's id once the result is recorded. `clock` gives seconds since the
    epoch.
    """

    def __init__(
        self, store: FencedStore, clock: Callable[[], float], on_found: Callable[[str], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_found = on_found
        self._tasks: dict[str, asyncio.Task[bool]] = {}
        self._one_at_a_time = asyncio.Lock()

    @property
    def is_busy(self) -> bool:
        """Whether a search runs or is queued."""
        return bool(self._tasks)

    def start(self, provider: Provider, workspace: Workspace, attempts: Sequence[Attempt]) -> None:
        """Queue a search of this workspace, unless one is queued or running."""
        if workspace.id not in self._tasks:
            work = log_failures(
                f"looking for unsaved work of {workspace.id}", self._search(provider, workspace, attempts)
            )
            task = asyncio.create_task(work)
            self._tasks[workspace.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(workspace.id, None))

    async def aclose(self) -> None:
        """Cancel the running searches, and await their end."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _search(self, provider: Provider, workspace: Workspace, attempts: Sequence[Attempt]) -> None:
        async with self._one_at_a_time:
            at = self._clock()
            workload = await self._store.workload(workspace.id)
            work = await unsaved_work.look(provider, workspace, workload)
            left = None if work is None else work.totals
            if left is None and isinstance(provider, ReportsLeftWork):
                left = await asyncio.to_thread(provider.left_behind, workspace, attempts)
            totals = left or UnsavedTotals(is_whole=False)
        policy, now = workspace.policy, self._clock()
        planned = autodelete(workspace, attempts, at)
        announced_at = now if planned is not None and planned.announces else None
        before = planned.record if planned is not None else None
        record = record_of(totals, at, before, policy, announced_at)
        kind, text = "", ""
        if planned is not None and totals.holds and not policy.delete_unsaved_work:
            kind, text = "not-deleted", f"not deleted: {totals.sentence}"
        elif planned is not None and announced_at is not None:
            due = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(planned.due))
            kind, text = "deletion-announced", f"will be deleted at {due}, unless you start it before"
        await self._store.record_unsaved(workspace.id, now, record, kind, text)
        self._on_found(workspace.id)
