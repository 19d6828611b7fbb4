"""Stores values of secrets and credentials of clone addresses for jobs, until their workspace is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress

from wsdash.backend.clone_address import Credential
from wsdash.backend.git.credential_files import KeptCredentials
from wsdash.backend.providers.gitlab.api import ci_variables
from wsdash.backend.providers.gitlab.api.errors import NotFound
from wsdash.backend.providers.gitlab.ci.pipeline_name import branch_of
from wsdash.backend.providers.gitlab.observe import observation
from wsdash.backend.providers.gitlab.session import Session
from wsdash.backend.rules.leftovers import Ids
from wsdash.backend.store.secret_notes import SecretNote, SecretNotes
from wsdash.model import Workspace


class WorkspaceSecrets:
    """`kept` are files on this machine; `notes` records the workspaces for which the project may have any."""

    def __init__(self, session: Session, kept: KeptCredentials, notes: SecretNotes) -> None:
        self._session = session
        self._kept = kept
        self._notes = notes

    async def keep(self, workspace: Workspace, values: Mapping[str, str]) -> None:
        """Store values as CI/CD variables of the project. Raises what `ci_variables.keep` does."""
        await self._note(workspace)
        project = await self._session.project.info()
        await ci_variables.keep(self._session.api, project.id, workspace.id, values)

    async def keep_credentials(self, workspace: Workspace, credentials: Collection[Credential]) -> None:
        """Store credentials on this machine, from where jobs get them through their tunnel; without one, in the
        project.
        """
        before = await asyncio.to_thread(self._kept.of, workspace.id)
        if set(credentials) <= set(before):
            return
        await self._note(workspace)
        if not self._session.tunnel.is_configured:
            project = await self._session.project.info()
            url = self._session.settings.url
            await ci_variables.keep_credentials(self._session.api, project.id, workspace.id, url, credentials)
        await asyncio.to_thread(self._kept.keep, workspace.id, credentials)

    async def forget_lost(self, ask_ids: Callable[[], Awaitable[Ids]]) -> None:
        """Remove only secrets that this machine has noted as its own, and none of a workspace that `recover` could
        restore.
        """
        noted = await asyncio.to_thread(lambda: list(self._notes.all()))
        here = (self._session.settings.url, self._session.settings.project)
        own = {note.workspace_id for note in noted if (note.url, note.project) == here}
        if not own:
            return
        ids = await ask_ids()
        for workspace_id in sorted(own - ids.living - ids.elsewhere):
            project = await self._session.project.info()
            if not await self._is_there(project.id, workspace_id):
                await ci_variables.forget(self._session.api, project.id, workspace_id)
                await asyncio.to_thread(self._kept.drop, workspace_id)
                await asyncio.to_thread(self._notes.drop, workspace_id)

    async def _is_there(self, project_id: int, workspace_id: str) -> bool:
        """Whether the workspace has a branch, or a job that may still run."""
        branch = branch_of(workspace_id)
        with suppress(NotFound):
            await self._session.api.branch(project_id, branch)
            return True
        listing = await self._session.api.pipelines(project_id, ref=branch)
        return any(observation.is_live(found) for found in listing.items)

    async def _note(self, workspace: Workspace) -> None:
        settings = self._session.settings
        await asyncio.to_thread(self._notes.add, SecretNote(workspace.id, settings.url, settings.project))
