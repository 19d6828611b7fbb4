"""The contexts of config.toml: the places where workspaces run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wsdash.backend.operations import connect_gitlab, context_file
from wsdash.backend.operations.queries import Queries
from wsdash.backend.operations.state import State

if TYPE_CHECKING:
    from wsdash.backend.operations.connect_gitlab import ContextPreview, ContextRequest
    from wsdash.config.settings import Config


class Contexts:
    """Reads and changes config.toml."""

    def __init__(self, state: State, queries: Queries) -> None:
        self._state = state
        self._queries = queries

    async def config(self) -> Config:
        """Return the configuration. Raises `UserError`."""
        return await asyncio.to_thread(context_file.read, self._state.paths)

    async def check_context(self, request: ContextRequest) -> ContextPreview:
        """Ask GitLab whether workspaces could run there; nothing is changed. Raises `WsdashError`."""
        return await connect_gitlab.preview(request, self._state.paths)

    async def add_context(self, preview: ContextPreview) -> str | None:
        """Add or change the context; return a description of where a typed token is stored. Raises `WsdashError`."""
        token = None if preview.token_source else preview.token
        kept = await asyncio.to_thread(
            context_file.add, preview.name, preview.settings, token, self._state.paths
        )
        if preview.access_host:
            await asyncio.to_thread(context_file.set_access, self._state.paths, preview.access_host)
        return kept

    async def use_context(self, name: str) -> None:
        """Make it the default context of new workspaces. Raises `UserError`."""
        await asyncio.to_thread(context_file.use, name, self._state.paths)

    async def remove_context(self, name: str) -> str:
        """Remove a context without workspaces; return the new default context. Raises `UserError`."""
        users = [
            row.workspace.name for row in await self._queries.workspaces() if row.workspace.context == name
        ]
        return await asyncio.to_thread(context_file.remove, name, self._state.paths, users)
