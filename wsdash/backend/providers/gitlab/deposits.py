"""Checkpoints in the project's package registry, for jobs that no line leads out of ("Generic packages")."""

from __future__ import annotations

from collections.abc import Iterable

from wsdash.backend.kept_checkpoints import CheckpointId
from wsdash.backend.providers.gitlab.api import GitLabApi
from wsdash.backend.providers.gitlab.errors import Forbidden, NotFound
from wsdash.backend.providers.gitlab.heartbeat import Heartbeat

PREFIX = "registry/"
"""Before the id, where a job is told to look there."""


def newest(beats: Iterable[Heartbeat], workspace_id: str) -> CheckpointId | None:
    """The newest that any job of the workspace has told of in its pipeline's name."""
    found = []
    for beat in beats:
        if beat.workspace_id == workspace_id and "deposit" in beat.facts:
            try:
                found.append(CheckpointId.of(beat.facts["deposit"]))
            except ValueError:
                continue
    return max(found, default=None)


async def prune(api: GitLabApi, project: int, workspace_id: str, keep: CheckpointId | None) -> None:
    """Remove what is older than `keep`; all of it for None. Who may not is not asked to: it stays."""
    try:
        for package in await api.packages(project, f"wsdash-{workspace_id}"):
            if keep is None or _is_older(package.version, keep):
                await api.delete_package(project, package.id)
    except (Forbidden, NotFound):
        return


def _is_older(version: str, keep: CheckpointId) -> bool:
    try:
        return CheckpointId.of(version) < keep
    except ValueError:
        return False
