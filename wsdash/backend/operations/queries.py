"""Queries for the dashboard and the command line: nothing is changed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator

from wsdash.backend.operations.explain import Explanation, why
from wsdash.backend.operations.state import State
from wsdash.backend.providers.features import OnThisMachine
from wsdash.backend.providers.types import Capabilities, LogChunk
from wsdash.backend.store.errors import DatabaseError
from wsdash.backend.store.reader import PlannedStep, WorkspaceDetail, WorkspaceRow
from wsdash.backend.system.files.file_watch import FileWatch
from wsdash.model import Attempt, Event, Workspace

CHANGES_S = 0.5
"""Interval between checks of the store for changes, in seconds."""


class Queries:
    """Read-only queries about workspaces."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def workspaces(self, *, deleted: bool = False) -> list[WorkspaceRow]:
        """Return all workspaces by name, with their present phase."""
        return await self._state.read(
            lambda: self._state.reader.workspaces(self._state.clock(), deleted=deleted)
        )

    async def find(self, name: str) -> Workspace:
        """Return the workspace with this name or id. Every operation on it then uses its id.

        Raises `NoSuchWorkspace`.
        """
        return await self._state.read(lambda: self._state.reader.find(name))

    async def row(self, workspace_id: str) -> WorkspaceRow:
        """Return one workspace as in the list, deleted ones included. It is cheap enough to be called often.

        Raises `NoSuchWorkspace`.
        """
        return await self._state.read(lambda: self._state.reader.row(workspace_id, self._state.clock()))

    async def detail(self, workspace_id: str) -> WorkspaceDetail:
        """Return the details of a workspace, deleted ones included. Raises `NoSuchWorkspace`."""
        return await self._state.read(lambda: self._state.reader.detail(workspace_id, self._state.clock()))

    async def attempts(self, workspace_id: str) -> list[Attempt]:
        """Return the attempts of a workspace, oldest first, deleted workspaces included."""
        return await self._state.read(lambda: self._state.reader.attempts(workspace_id))

    async def events(self, workspace_id: str, *, limit: int = 200) -> list[Event]:
        """Return the events of a workspace, newest first."""
        workspace = await self._state.find(workspace_id, deleted=True)
        return await self._state.read(lambda: self._state.reader.events(workspace.id, limit=limit))

    async def why(self, workspace_id: str) -> Explanation:
        """Return the explanation of the workspace's phase. Raises `NoSuchWorkspace`."""
        return why(await self.detail(workspace_id), self._state.clock())

    async def plan(self) -> list[PlannedStep]:
        """Return the steps that the reconciler would take next, with their reasons."""
        return await self._state.read(lambda: self._state.reader.plan(self._state.clock()))

    async def changes(self) -> AsyncIterator[None]:
        """Yield whenever any process has changed the store."""
        watch = FileWatch(self._state.paths.database)
        version: tuple[object, int] | None = await self._state.read(self._state.reader.data_version)
        while True:
            await asyncio.sleep(CHANGES_S)
            if not watch.may_have_changed():
                continue
            try:
                latest = await self._state.read(self._state.reader.data_version)
            except (sqlite3.Error, DatabaseError):
                latest = None  # the next read raises the reason
            if latest != version:
                version = latest
                yield

    async def read_log(
        self, workspace_id: str, *, attempt: int | None = None, offset: int = 0, limit: int = 65536
    ) -> LogChunk:
        """Return bytes of an attempt's log, by default the newest one's: untrusted text. Deleted workspaces are
        included.
        """
        workspace, found = await self._state.attempt(workspace_id, attempt, deleted=True)
        return await self._state.provider(workspace).read_log(found, offset, limit)

    def folder(self, workspace: Workspace) -> str | None:
        """Return the folder of the workspace's files on this machine, None if they are elsewhere."""
        provider = self._state.provider(workspace)
        return provider.folder(workspace) if isinstance(provider, OnThisMachine) else None

    async def capabilities(self, context: str) -> Capabilities:
        """Return what jobs support in this context."""
        return await self._state.provider_of(context).capabilities()
