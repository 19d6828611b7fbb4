"""Searches a workspace for unsaved work, records the result, and saves the work on this machine."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError
from wsdash.backend.job.render import project_folder
from wsdash.backend.operations.queries import Queries
from wsdash.backend.operations.state import State
from wsdash.backend.providers.errors import NotSupported, ProviderError
from wsdash.backend.providers.features import CheckoutQueries
from wsdash.backend.providers.types import UnsavedWork
from wsdash.backend.providers.unsaved_work import look
from wsdash.backend.rules.autodelete import is_worth_asking, record_of

if TYPE_CHECKING:
    from wsdash.backend.operations.save_work import SavedWork

LOOK_S = 3.0
"""Who only looks at a workspace waits no longer for what it has."""


class Work:
    """Operations on work that exists nowhere but in a workspace."""

    def __init__(self, state: State, queries: Queries) -> None:
        self._state = state
        self._queries = queries

    async def unsaved_work(
        self, workspace_id: str, within_s: float | None = None, *, exact: bool = False
    ) -> UnsavedWork | None:
        """What only this workspace has, which is recorded; None if nobody can say, or not `within_s` seconds.

        `exact`: with its state.
        """
        workspace = await self._state.find(workspace_id)
        workload = await self._state.store.workload(workspace.id)
        at = self._state.clock()
        work = await look(self._state.provider(workspace), workspace, workload, within_s, exact=exact)
        if work is not None:
            before = (await self._state.find(workspace_id)).unsaved
            await self._state.store.record_unsaved(
                workspace.id, record_of(work.totals, at, before, workspace.policy)
            )
        return work

    async def look_again(self, workspace_id: str) -> None:
        """Have what only this workspace has recorded again, where that takes a moment and was not done lately."""
        row = await self._queries.row(workspace_id)
        has_folder = await asyncio.to_thread(self._queries.folder, row.workspace) is not None
        if is_worth_asking(row.workspace, row.attempt, self._state.clock(), has_folder=has_folder):
            # A provider may take longer than its limit; nobody waits for it.
            with suppress(TimeoutError, UserError):
                async with asyncio.timeout(LOOK_S + 1.0):
                    await self.unsaved_work(workspace_id, LOOK_S)

    async def keep_work(self, workspace_id: str) -> SavedWork:
        """What only this workspace has, into files on this machine.

        Raises `WsdashError` where not all of it is kept, or where any of it changed since it was packed.
        """
        from wsdash.backend.operations import save_work
        from wsdash.backend.store.checkpoint_files import CheckpointStore

        workspace = await self._state.find(workspace_id)
        workload = await self._state.store.workload(workspace.id)
        output = b""
        provider = self._state.provider(workspace)
        if isinstance(provider, CheckoutQueries):
            with suppress(ProviderError):
                asked = save_work.question(project_folder(workload))
                output = await provider.ask_checkout(workspace, workload, asked)
        folder, now = self._state.paths.state / "kept", self._state.clock()
        checkpoints = CheckpointStore(self._state.paths.state / "checkpoints")
        newest = await asyncio.to_thread(checkpoints.newest, workspace.id)
        if not output and newest is not None:
            file = checkpoints.file(workspace.id, newest)
            return await asyncio.to_thread(
                save_work.keep_checkpoint, newest, file, workspace.name, folder, now
            )
        if not isinstance(provider, CheckoutQueries):
            raise NotSupported(
                provider.kind,
                f"look into the files of {workspace.name}, so it is not deleted",
                "Have its job push what it has; or delete it without --keep-work.",
            )
        kept = await asyncio.to_thread(save_work.keep, output, workspace.name, folder, now)
        work = await self.unsaved_work(workspace.id, exact=True)
        if work is None or work.state != kept.state:
            raise UserError(
                f"{workspace.name} changed while its work was kept, so it is not deleted",
                f"Try again when nothing works in it. {kept.folder} has what was there before."
                if kept.folder
                else "Try again when nothing works in it.",
            )
        return kept
