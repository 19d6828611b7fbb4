"""Runs the reconciler while this process holds the lease; also makes hourly backups of the state store."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.ssh import files as ssh_files
from wsdash.backend.providers.base import Provider
from wsdash.backend.reconcile import cleanup
from wsdash.backend.reconcile.failures import log_failures
from wsdash.backend.reconcile.reconciler import Reconciler
from wsdash.backend.store import database
from wsdash.backend.store.errors import DatabaseError, StateRemoved
from wsdash.backend.store.fenced_store import FencedStore
from wsdash.backend.store.lease import LeaseLost
from wsdash.backend.store.store import Store
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.backend.system.runtime import Runtime
from wsdash.paths import Paths

log = logging.getLogger(__name__)

BACKUP_S = 60.0
LEASE_RETRY_S = 1.0
FORGET_S = 3600.0
FORGET_AGAIN_S = 30.0


class LeaderElector:
    """Reconciles one state store while this process holds its lease.

    `providers` returns the provider of each context that has workspaces; `workspaces_mark` is a text that changes
    when workspaces are added, removed or get another desired state; `recover` restores workspaces that the
    store lost; `forget` has providers remove leftovers of unknown workspaces, and returns whether it is done.
    """

    def __init__(
        self,
        paths: Paths,
        store: Store,
        *,
        providers: Callable[[], Awaitable[Mapping[str, Provider]]],
        workspaces_mark: Callable[[], Awaitable[str]],
        recover: Callable[[], Coroutine[Any, Any, None]],
        forget: Callable[[], Awaitable[bool]],
        runtime: Runtime,
    ) -> None:
        self._paths = paths
        self._store = store
        self._providers = providers
        self._workspaces_mark = workspaces_mark
        self._recover = recover
        self._forget = forget
        self._runtime = runtime
        self._reconciler: Reconciler | None = None

    def nudge(self, workspace_id: str) -> None:
        """Handle a command that was committed in this process at once, if this process reconciles."""
        if self._reconciler is not None:
            self._reconciler.nudge(workspace_id)

    async def run(self, owner: str, idle_exit_s: float | None) -> None:
        """Run until cancelled; with `idle_exit_s`, until that many seconds passed without work, or another
        process reconciles. `owner` is `dashboard` or `daemon`.

        If the state folder is removed, a daemon ends with `StateRemoved`, because no user would stop it
        otherwise. A dashboard shows that the folder is missing, and continues once it is back.
        """
        failed = ""
        while True:
            try:
                fenced = await self._acquire(owner)
                failed = ""
                if fenced is not None:
                    return await self._lead(fenced, idle_exit_s)
                if idle_exit_s is not None:
                    return None
            except LeaseLost as lost:
                log.warning("the lease was lost: %s", lost)
            except DatabaseError as error:
                if isinstance(error, StateRemoved) and owner == "daemon":
                    raise
                if failed != str(error):
                    failed = str(error)
                    log.error("%s", failed)
            await asyncio.sleep(LEASE_RETRY_S)

    async def _acquire(self, owner: str) -> FencedStore | None:
        now = self._runtime.boot_clock()
        lease = await self._store.lease()
        if lease is not None and self._store.is_held(lease, now):
            return None
        return await FencedStore.acquire(self._store, owner, ProcessIdentity.own(), now)

    async def _lead(self, fenced: FencedStore, idle_exit_s: float | None) -> None:
        tasks: list[asyncio.Task[None]] = []
        try:
            # Before the first poll, which would find their jobs without a workspace.
            await log_failures("recovering lost workspaces", self._recover())
            self._reconciler = Reconciler(fenced, self._providers, self._runtime)
            work = [self._reconciler.run(), self._clean_and_back_up(), self._keep_forgetting()]
            if idle_exit_s is not None:
                work.append(self._until_idle(self._reconciler, idle_exit_s))
            tasks += [asyncio.create_task(coroutine) for coroutine in work]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._reconciler = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(DatabaseError):
                await fenced.give_up_lease()

    async def _clean_and_back_up(self) -> None:
        """Clean up after processes that died, rewrite files of earlier versions, then keep making backups."""
        try:
            await asyncio.to_thread(cleanup.clean, self._paths)
        except (sqlite3.Error, OSError, DatabaseError) as error:
            log.warning("the search for leftovers failed: %s", error)
        try:
            await asyncio.to_thread(ssh_files.renew_installed, AccessFolder.of(self._paths))
        except OSError as error:
            log.warning("the ssh configuration could not be rewritten: %s", error)
        await self._keep_backups()

    async def _keep_forgetting(self) -> None:
        """Retry `forget` in the background, because a provider may not answer."""
        while True:
            is_done = await self._forget()
            await asyncio.sleep(FORGET_S if is_done else FORGET_AGAIN_S)

    async def _keep_backups(self) -> None:
        """Make a backup each hour; replace the present hour's when workspaces are added, removed or changed."""
        backed_up: tuple[str, str] | None = None
        while True:
            label = datetime.fromtimestamp(self._runtime.clock(), UTC).strftime("%Y%m%dT%H")
            latest = (label, await self._workspaces_mark())
            if latest != backed_up:
                await log_failures("recovering lost workspaces", self._recover())
                latest = (label, await self._workspaces_mark())
                try:
                    await asyncio.to_thread(database.backup, self._paths, label)
                    backed_up = latest
                except (sqlite3.Error, OSError) as error:
                    log.warning("the state store could not be backed up: %s", error)
            await asyncio.sleep(BACKUP_S)

    async def _until_idle(self, reconciler: Reconciler, idle_exit_s: float) -> None:
        boot_clock = self._runtime.boot_clock
        busy_at = boot_clock()
        while boot_clock() - busy_at < idle_exit_s:
            await asyncio.sleep(min(1.0, idle_exit_s))
            if reconciler.has_work:
                busy_at = boot_clock()
