"""The operations of wsdash, opened for one process: the dashboard and the command line act through this object.

(The quick, reading commands of the command line use `wsdash.backend.store.reader` directly, because they may not
load asyncio. This module uses it, too.)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError, WsdashError
from wsdash.backend.operations.access import Access
from wsdash.backend.operations.contexts import Contexts
from wsdash.backend.operations.create import CreateRequest, Creation, Preview
from wsdash.backend.operations.daemon import Daemon, Reconciling
from wsdash.backend.operations.lifecycle import Lifecycle
from wsdash.backend.operations.queries import Queries
from wsdash.backend.operations.state import State
from wsdash.backend.operations.unsaved_work import Work
from wsdash.backend.operations.update import Update, Updates
from wsdash.backend.providers.base import Provider
from wsdash.backend.providers.features import RemoteSecretStore
from wsdash.backend.providers.provider_pool import ALWAYS_POLLED, Maker, ProviderPool
from wsdash.backend.providers.types import UnsavedWork
from wsdash.backend.reconcile.failures import log_failures
from wsdash.backend.reconcile.leader_election import LeaderElector
from wsdash.backend.store import database
from wsdash.backend.store.reader import Reader
from wsdash.backend.store.store import Store
from wsdash.backend.system.runtime import Runtime
from wsdash.paths import Paths

if TYPE_CHECKING:
    from wsdash.backend.operations.recover import Recovery
    from wsdash.backend.operations.sessions import Sessions
    from wsdash.backend.operations.transfer import Transfer

__all__ = [
    "CreateRequest",
    "Preview",
    "Reconciling",
    "Service",
    "UnsavedWork",
    "Update",
    "WsdashError",
]


class Service:
    """All operations on one state store. Open it with `async with Service.open(paths)`; for use on one event
    loop.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.notices = state.notices
        """Repairs of the store, before it was opened and since, as sentences for the user."""
        self.queries = Queries(state)
        self.daemon = Daemon(state, self.queries)
        self.lifecycle = Lifecycle(state, self.queries, self.daemon)
        self.contexts = Contexts(state, self.queries)
        self.creation = Creation(state, self.queries, self.lifecycle, self.contexts)
        self.updates = Updates(state, self.creation, self.lifecycle)
        self.access = Access(state)
        self.work = Work(state, self.queries)
        self._leader = LeaderElector(
            state.paths,
            state.store,
            providers=self._providers,
            workspaces_mark=lambda: state.read(state.reader.workspaces_mark),
            recover=self._recover_lost,
            forget=self._forget_lost,
            runtime=Runtime(state.clock),
        )
        state.nudge = self._leader.nudge
        state.store.transactions.on_notice = state.add_notice

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        paths: Paths,
        *,
        clock: Callable[[], float] = time.time,
        makers: Mapping[str, Maker] = MappingProxyType({}),
    ) -> AsyncIterator[Service]:
        """Open the state store. `makers` are as in `ProviderPool`. Raises `PathError` and `DatabaseError`."""
        with ThreadPoolExecutor(1, "wsdash-reader") as thread:
            loop = asyncio.get_running_loop()
            notices = await loop.run_in_executor(thread, database.prepare, paths)
            reader = Reader(paths, makes_store=False)
            try:
                async with Store.open(paths) as store:
                    state = State(paths, store, reader, thread, ProviderPool(paths, makers), clock, notices)
                    try:
                        yield cls(state)
                    finally:
                        await state.providers.aclose()
            finally:
                await loop.run_in_executor(thread, reader.close)

    # Imported on first use: the dashboard's first paint needs none of them.

    @cached_property
    def sessions(self) -> Sessions:
        """Starts, lists, attaches and ends the sessions of workspaces."""
        from wsdash.backend.operations.sessions import Sessions

        return Sessions(self.access, self._state.paths.profiles_file)

    @cached_property
    def transfer(self) -> Transfer:
        """Exports and imports workspaces."""
        from wsdash.backend.operations.transfer import Transfer

        return Transfer(self._state)

    @cached_property
    def recovery(self) -> Recovery:
        """Restores workspaces that providers have and the store does not."""
        from wsdash.backend.operations.recover import Recovery

        return Recovery(self._state, self.queries)

    async def reconcile(self, owner: str, *, idle_exit_s: float | None = None) -> None:
        """Reconcile until cancelled, whenever this process can get the lease.

        `owner` is `dashboard` or `daemon`. With `idle_exit_s` it returns after that many seconds without work,
        or when another process reconciles.
        """
        await self._leader.run(owner, idle_exit_s)

    async def _providers(self) -> dict[str, Provider]:
        """Return the providers of all contexts that have workspaces or are free to poll."""
        providers: dict[str, Provider] = {}
        for context in ALWAYS_POLLED | {row.workspace.context for row in await self.queries.workspaces()}:
            with suppress(UserError):
                providers[context] = self._state.provider_of(context)
        return providers

    async def _recover_lost(self) -> None:
        await self.recovery.take_in_lost(await self._context_names())

    async def _forget_lost(self) -> bool:
        """Have providers remove secrets of unknown workspaces; return False if that must be retried."""
        done = True
        for context in await self._context_names():
            with suppress(UserError):
                provider = self._state.provider_of(context)
                if isinstance(provider, RemoteSecretStore):
                    forgetting = provider.forget_lost(lambda: self._state.read(self._state.reader.ids))
                    done &= await log_failures(f"removing secrets left in {context}", forgetting)
        return done

    async def _context_names(self) -> list[str]:
        names = set(await self._providers())
        with suppress(UserError):
            names |= set((await self.contexts.config()).contexts)
        return sorted(names)
