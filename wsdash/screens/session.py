"""The service while the dashboard runs: it reconciles, watches the store, and hands over to a daemon at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsdash.backend.service import Reconciling, Service
    from wsdash.backend.store.reader import WorkspaceRow
    from wsdash.paths import Paths

REREAD_S = 20.0
"""The store is read again after that long without a change, since phases also depend on the time."""
GAP_S = 0.2
LONGEST_GAP_S = 2.0
"""The pause between two reads grows from `GAP_S` to this while only heartbeats arrive."""

ServiceOpener = Callable[[], AbstractAsyncContextManager["Service"]]


class Session:
    """The service while the dashboard runs. `close` is called after the screen is gone."""

    def __init__(
        self,
        open_service: ServiceOpener,
        *,
        changed: Callable[[], None],
        failed: Callable[[BaseException, str], None],
    ) -> None:
        self._open_service = open_service
        self._changed = changed
        self._failed = failed
        self._closing = asyncio.Event()
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._finding: asyncio.Task[None] | None = None
        self.service: Service | None = None
        self.rows: list[WorkspaceRow] = []
        self.has_all_rows = True
        """False from the first paint until all rows were read once."""
        self.reconciling: Reconciling | None = None
        self.honours_image: bool | None = None
        self.isolation: str | None = None
        self.context: str | None = None
        """The name of the default context; None while it is not known."""
        self.stale_reason = ""
        self.handed_over = False

    def start(self) -> None:
        """Open the service in the background, unless it is open or being opened."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._live(), name="session")

    def reload(self) -> None:
        """Read the store soon, or open it again if that failed."""
        self._look.set()
        if self._task is not None and self._task.done() and not self._closing.is_set():
            self.start()

    def refresh_context(self) -> None:
        """Read the isolation of the default context again."""
        if self.service is not None:
            work = self._report_errors(self._find_out_isolation(self.service), "reading the default context")
            self._finding = asyncio.get_running_loop().create_task(work)

    async def close(self) -> None:
        """Stop reconciling, start a daemon if jobs need one, and close the service."""
        self._closing.set()
        if self._task is not None:
            await self._task

    async def _live(self) -> None:
        try:
            async with self._open_service() as service:
                self.service = service
                self._changed()
                tasks = [
                    asyncio.create_task(self._report_errors(work, what))
                    for work, what in (
                        (service.reconcile("dashboard"), "reconciling"),
                        (self._watch(service), "watching the store"),
                        (self._keep_reading(service), "reading the store"),
                        (self._find_out_isolation(service), "reading the default context"),
                        (self._await_upgrade(service), "looking for an upgrade"),
                    )
                ]
                try:
                    await self._closing.wait()
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                with self._reporting("handing over to the daemon"):
                    self.handed_over = await service.daemon.hand_over()
        except Exception as error:
            self.stale_reason = "the store cannot be used; the list may be out of date"
            self._failed(error, "opening the store")
            self._changed()
        finally:
            self.service = None

    async def _await_upgrade(self, service: Service) -> None:
        await service.daemon.until_upgraded()
        service.notices.append(
            "wsdash was upgraded: this dashboard runs the old code until you quit and open it again."
        )
        self._changed()

    async def _report_errors(self, work: Coroutine[Any, Any, None], what: str) -> None:
        with self._reporting(what):
            await work

    def _reporting(self, what: str) -> _ErrorReporter:
        return _ErrorReporter(self._failed, what)

    async def _watch(self, service: Service) -> None:
        async for _ in service.queries.changes():
            self._look.set()

    async def _keep_reading(self, service: Service) -> None:
        gap = GAP_S
        while True:
            self._look.clear()
            if await self._read(service):
                gap = GAP_S
                self._changed()
            else:
                gap = min(LONGEST_GAP_S, gap * 2)
            await asyncio.sleep(gap)
            with suppress(TimeoutError):
                async with asyncio.timeout(REREAD_S):
                    await self._look.wait()

    async def _read(self, service: Service) -> bool:
        """Read rows and reconciler. Returns True if anything has changed."""
        before = (self.rows, self.reconciling, self.stale_reason)
        try:
            self.rows = await service.queries.workspaces()
            self.has_all_rows = True
            self.reconciling = await service.daemon.reconciling()
            self.stale_reason = ""
        except Exception as error:
            from wsdash.backend.store.errors import StateRemoved

            self.stale_reason = f"not up to date: {error}"
            if isinstance(error, StateRemoved):
                self.reconciling = None
        return before != (self.rows, self.reconciling, self.stale_reason)

    async def _find_out_isolation(self, service: Service) -> None:
        context = (await service.contexts.config()).default_context
        capabilities = await service.queries.capabilities(context)
        self.context = context
        self.isolation = capabilities.isolation
        self.honours_image = capabilities.honours_image
        self._changed()


class _ErrorReporter:
    """Reports an exception of background work to the `failed` callback."""

    def __init__(self, failed: Callable[[BaseException, str], None], what: str) -> None:
        self._failed = failed
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        self._failed(error, self._what)
        return True


def rows_in_store(paths: Paths, now: float, first: int | None) -> list[WorkspaceRow]:
    """Read the first rows, or all for None, for the first paint. Blocks."""
    from wsdash.backend.store.reader import Reader

    reader = Reader(paths)
    try:
        return reader.workspaces(now, first=first)
    finally:
        reader.close()
