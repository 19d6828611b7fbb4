"""Remote checkpoints for jobs without a tunnel: in the project's package registry, else on a branch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import Forbidden, NotFound
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat
from wsdash.backend.store.checkpoint_files import CheckpointId

BRANCH = "wsdash-checkpoints/"
PLACES = ("registry", "branch")


@dataclass(frozen=True, slots=True)
class RemoteCheckpoint:
    """A checkpoint such as `registry:3.7`: a job reports it, and the next one restores from it."""

    place: str
    id: CheckpointId

    def __str__(self) -> str:
        return f"{self.place}:{self.id}"

    @classmethod
    def of(cls, text: str) -> RemoteCheckpoint:
        """Parse a checkpoint's text. Raises ValueError."""
        place, _, id_ = text.partition(":")
        if place not in PLACES:
            raise ValueError(f"{text!r} is nowhere")
        return cls(place, CheckpointId.of(id_))


def newest(beats: Iterable[Heartbeat], workspace_id: str) -> RemoteCheckpoint | None:
    """Return the newest checkpoint that a job of the workspace has reported in its pipeline's name."""
    found = []
    for beat in beats:
        if beat.workspace_id == workspace_id and "remote" in beat.facts:
            try:
                found.append(RemoteCheckpoint.of(beat.facts["remote"]))
            except ValueError:
                continue
    return max(found, key=lambda remote: remote.id, default=None)


_MESSAGE = re.compile(r"checkpoint ([0-9.]{3,20}) ", re.ASCII)


async def stored(api: GitLabApi, project: int, workspace_id: str) -> RemoteCheckpoint | None:
    """Return the newest checkpoint that the project has, for a workspace whose pipelines are removed.

    GitLab removes old pipelines if the project says so ("Pipelines settings", automatic cleanup). None also if the user
    may not see it.
    """
    found = []
    with suppress(NotFound, Forbidden):
        versions = [package.version for package in await api.packages(project, f"wsdash-{workspace_id}")]
        found += [f"registry:{version}" for version in versions]
    with suppress(NotFound, Forbidden):
        message = (await api.branch(project, f"{BRANCH}{workspace_id}")).commit.message
        found += [f"branch:{id_}" for id_ in _MESSAGE.findall(message)[:1]]
    known = []
    for text in found:
        with suppress(ValueError):
            known.append(RemoteCheckpoint.of(text))
    return max(known, key=lambda remote: remote.id, default=None)


async def prune(api: GitLabApi, project: int, workspace_id: str, keep: RemoteCheckpoint | None) -> None:
    """Remove packages older than `keep`, or all and the branch. They stay if the user may not remove them."""
    if keep is None:
        await api.delete_branch(project, f"{BRANCH}{workspace_id}")
    try:
        for package in await api.packages(project, f"wsdash-{workspace_id}"):
            if keep is None or _is_older(package.version, keep):
                await api.delete_package(project, package.id)
    except (Forbidden, NotFound):
        return


def _is_older(version: str, keep: RemoteCheckpoint) -> bool:
    try:
        return CheckpointId.of(version) < keep.id
    except ValueError:
        return False
