"""Ends jobs at once, removes a workspace's objects from the project, and removes its older checkpoints."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from wsdash.backend.providers.errors import PreconditionFailed, ProviderError
from wsdash.backend.providers.gitlab import registry_checkpoints
from wsdash.backend.providers.gitlab.api import ci_variables
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import Forbidden, NotFound
from wsdash.backend.providers.gitlab.api.models import Pipeline
from wsdash.backend.providers.gitlab.ci.pipeline_name import branch_of
from wsdash.backend.providers.gitlab.launcher import Launcher
from wsdash.backend.providers.gitlab.observe import observation
from wsdash.backend.providers.gitlab.registry_checkpoints import RemoteCheckpoint
from wsdash.backend.providers.gitlab.session import Session
from wsdash.backend.providers.gitlab.volume_removal import VolumeRemoval
from wsdash.backend.store.secret_notes import SecretNotes
from wsdash.model import JobState

MOST_PRUNED = 5
"""Most workspaces whose older registry checkpoints one poll removes; the next polls do the others."""


class Deletion:
    """Deletes a workspace. It is called until nothing is left, so each step may have been done before."""

    def __init__(self, session: Session, launcher: Launcher, notes: SecretNotes) -> None:
        self._session = session
        self._launcher = launcher
        self._notes = notes
        self._volume_removal = VolumeRemoval(session.api, session.project, session.clock)
        self._pruned: dict[str, RemoteCheckpoint] = {}

    async def remove(self, workspace_id: str) -> str | None:
        """Remove the folder on a volume, the branch, secrets and checkpoints, and pipelines where the user may.

        Return a description of leftovers that the user must remove. Raises `InProgress` while a job removes the folder.
        """
        session = self._session
        project = await session.project.info()
        left = await self._remove_volume(workspace_id)
        await self._remove_pipelines(project.id, workspace_id)
        await ci_variables.forget(session.api, project.id, workspace_id)
        await asyncio.to_thread(self._notes.drop, workspace_id)
        await registry_checkpoints.prune(session.api, project.id, workspace_id, None)
        self._pruned.pop(workspace_id, None)
        await session.api.delete_branch(project.id, branch_of(workspace_id))
        session.branches.forget(workspace_id)
        self._launcher.forget(workspace_id)
        return left

    async def prune(self) -> None:
        """Remove all but the newest checkpoint of each workspace from the registry."""
        beats = [beat for beat in self._session.poller.beats.values() if "remote" in beat.facts]
        newest = {beat.workspace_id: registry_checkpoints.newest(beats, beat.workspace_id) for beat in beats}
        changed = [(i, found) for i, found in newest.items() if found and self._pruned.get(i) != found]
        for workspace_id, found in changed[:MOST_PRUNED]:
            self._pruned[workspace_id] = found
            with suppress(ProviderError):
                project = await self._session.project.info()
                await registry_checkpoints.prune(self._session.api, project.id, workspace_id, found)

    async def _remove_volume(self, workspace_id: str) -> str | None:
        async def start(text: str, message: str) -> Pipeline:
            await self._session.branches.write(workspace_id, text, "removal", message)
            return await self._launcher.create(workspace_id, {}, {})

        return await self._volume_removal.remove(workspace_id, start)

    async def _remove_pipelines(self, project_id: int, workspace_id: str) -> None:
        """End running pipelines, and delete all pipelines if the user is an owner."""
        may_delete, page = True, 1
        while True:
            listing = await self._session.api.pipelines(project_id, ref=branch_of(workspace_id), page=page)
            for found in listing.items:
                if observation.is_live(found):
                    await self._session.api.cancel_pipeline(project_id, found.id)
                if may_delete:
                    may_delete = await self._delete_pipeline(project_id, found.id)
            if listing.is_whole:
                return
            page = 1 if may_delete else page + 1

    async def _delete_pipeline(self, project_id: int, pipeline_id: int) -> bool:
        try:
            await self._session.api.delete_pipeline(project_id, pipeline_id)
        except Forbidden:
            return False
        except NotFound:
            return True
        return True


async def force_cancel(api: GitLabApi, project_id: int, pipeline_id: int) -> None:
    """End jobs at once. GitLab allows this to maintainers, and only for jobs that are ending.

    Raises `NotFound` for a deleted pipeline, `PreconditionFailed` if the role forbids it.
    """
    for job in await api.jobs(project_id, pipeline_id, urgent=True):
        status = job.status
        if observation.STATES.get(status) not in (JobState.ENDED, JobState.ENDING):
            status = (await api.cancel_job(project_id, job.id)).status
        if observation.STATES.get(status) is not JobState.ENDED:
            try:
                await api.cancel_job(project_id, job.id, force=True)
            except Forbidden as error:
                raise PreconditionFailed(
                    f"job {job.id} is ending, and only a maintainer may force it",
                    "Ask a maintainer to do it, or wait: GitLab ends it by itself within the hour.",
                ) from error
