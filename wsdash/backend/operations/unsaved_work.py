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
"""Time limit of a search in seconds, when a user only looks at a workspace."""


class Work:
    """Operations on work that exists only in a workspace."""

    def __init__(self, state: State, queries: Queries) -> None:
        self._state = state
        self._queries = queries

    async def unsaved_work(
        self, workspace_id: str, within_s: float | None = None, *, exact: bool = False
    ) -> UnsavedWork | None:
        """Find and record work that exists only in this workspace; None if that is impossible or takes over `within_s`
        seconds.

        `exact`: include the hash of its files.
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
        """Refresh the record of unsaved work, if that is quick and was not done recently."""
        row = await self._queries.row(workspace_id)
        has_folder = await asyncio.to_thread(self._queries.folder, row.workspace) is not None
        if is_worth_asking(row.workspace, row.attempt, self._state.clock(), has_folder=has_folder):
            # A provider may exceed its limit; the caller does not wait for it.
            with suppress(TimeoutError, UserError):
                async with asyncio.timeout(LOOK_S + 1.0):
                    await self.unsaved_work(workspace_id, LOOK_S)

    async def keep_work(self, workspace_id: str) -> SavedWork:
        """Save work that exists only in this workspace into files on this machine.

        Raises `WsdashError` if it is not saved completely, or if it changed after it was packed.
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
                f"access the files of {workspace.name}, so it is not deleted",
                "Push its work from inside it, or delete it without --keep-work.",
            )
        kept = await asyncio.to_thread(save_work.keep, output, workspace.name, folder, now)
        work = await self.unsaved_work(workspace.id, exact=True)
        if work is None or work.state != kept.state:
            raise UserError(
                f"{workspace.name} changed while its work was saved, so it is not deleted",
                f"Try again when no process changes its files. {kept.folder} has the state before."
                if kept.folder
                else "Try again when no process changes its files.",
            )
        return kept
