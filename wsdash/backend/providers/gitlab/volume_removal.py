"""Removes a workspace's folder from a runner's volume. Only a job on that runner can, so this starts a pipeline."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from wsdash.backend.providers.errors import InProgress
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import NotFound
from wsdash.backend.providers.gitlab.api.models import Pipeline
from wsdash.backend.providers.gitlab.api.project import CurrentProject
from wsdash.backend.providers.gitlab.ci import pipeline_name
from wsdash.backend.providers.gitlab.ci.pipeline_name import branch_of
from wsdash.backend.providers.gitlab.ci.record import RecordError, Volume, record_of
from wsdash.backend.providers.gitlab.ci.removal_config import removal_name, render_removal
from wsdash.backend.providers.gitlab.observe import observation

TRIES = 3
STUCK_S = 900.0
"""Longest wait for an absent runner, in seconds: after that its disk is most likely lost, too."""

Start = Callable[[str, str], Awaitable[Pipeline]]
"""Commits a configuration to the workspace's branch, with this message, and starts a pipeline of it."""


class VolumeRemoval:
    """The removal. It is called until it is done, by any reconciling process: GitLab has all of its state."""

    def __init__(self, api: GitLabApi, project: CurrentProject, clock: Callable[[], float]) -> None:
        self._api = api
        self._project = project
        self._clock = clock

    async def remove(self, workspace_id: str, start: Start) -> str | None:
        """Return None once nothing is left, else a description of the leftovers for the user to remove.

        Raises `InProgress` while a job removes the folder, and what the API does.
        """
        project = await self._project.info()
        try:
            message = (await self._api.branch(project.id, branch_of(workspace_id))).commit.message
            record = record_of(message)
        except (NotFound, RecordError):
            return None
        volume = record.volume
        if volume is None:
            return None
        pipelines, skew = await self._pipelines(project.id, workspace_id)
        tried = [p for p in pipelines if p.name == removal_name(workspace_id)]
        if any(p.status == "success" for p in tried):
            return None
        if not tried and not await self._has_run(project.id, pipelines):
            return None
        live = next((p for p in tried if observation.is_live(p)), None)
        if live is not None:
            if not await self._is_hopeless(project.path, live, skew):
                raise _pending(volume)
            await self._api.cancel_pipeline(project.id, live.id)
        if live is not None or len(tried) >= TRIES:
            return (
                f"its folder {volume.path}/{workspace_id} stays on the runner with the tags"
                f" {', '.join(volume.tags)}, because no job could remove it"
            )
        await start(render_removal(workspace_id, record.workload, record.image, volume), message)
        raise _pending(volume)

    async def _is_hopeless(self, project_path: str, one: Pipeline, skew: float) -> bool:
        """Whether no runner can take the pipeline, and none has for a while."""
        waited = 0.0 if one.created_at is None else self._clock() - (one.created_at + skew)
        if one.status != "pending" or waited < STUCK_S:
            return False
        return one.id in await self._api.stuck_pipelines(project_path)

    async def _pipelines(self, project_id: int, workspace_id: str) -> tuple[list[Pipeline], float]:
        """Return the workspace's pipelines, and the seconds that this machine's clock is ahead of GitLab's."""
        found: list[Pipeline] = []
        while True:
            page = 1 + len(found) // 100
            listing = await self._api.pipelines(project_id, ref=branch_of(workspace_id), page=page)
            found += listing.items
            if listing.is_whole:
                return found, listing.skew

    async def _has_run(self, project_id: int, pipelines: list[Pipeline]) -> bool:
        """Whether any job of the workspace ran long enough that it may have created its folder."""
        for one in pipelines:
            beat = pipeline_name.parse(one.name)
            if beat is not None and beat.at:
                return True
            if any(job.started_at for job in await self._api.jobs(project_id, one.id)):
                return True
        return False


def _pending(volume: Volume) -> InProgress:
    return InProgress(
        f"a job is removing its folder from {volume.path} on the runner with the tags {', '.join(volume.tags)}",
        "If no runner takes that job within 15 minutes, the folder stays there.",
    )
