"""Facts about a context's project that must be known before its first job."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from wsdash.backend.providers.errors import PreconditionFailed
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi

CONFIG = ".gitlab-ci.yml"
INPUTS_SINCE = (18, 1)
"""The version of GitLab from which pipelines accept inputs ("CI/CD inputs", generally available)."""
LISTS_ALL_SINCE = (19, 3)
"""The version of GitLab from which one request lists a user's pipelines of all projects ("Pipelines API")."""
ID_TOKENS_SINCE = (15, 7)
"""The version of GitLab that introduced id tokens for jobs ("OpenID Connect (OIDC) authentication using ID tokens")."""
USUAL_TIMEOUT_S = 3600.0
DEVELOPER = 30


@dataclass(frozen=True, slots=True)
class ProjectInfo:
    """A project and its user, from the API. `config_path` is the path of the project's CI configuration."""

    id: int
    path: str
    username: str
    default_branch: str | None
    config_path: str
    has_config: bool
    takes_inputs: bool
    lists_all_projects: bool
    has_id_tokens: bool
    timeout_s: float


async def find_project(api: GitLabApi, project_path: str) -> ProjectInfo:
    """Query the project, the user and the version. Raises what the API does, and `PreconditionFailed`."""
    project, user, version = await asyncio.gather(api.project(project_path), api.user(), api.version())
    config_path = project.ci_config_path or CONFIG
    if "@" in config_path or "://" in config_path:
        raise PreconditionFailed(
            f"the project {project_path} reads its CI configuration from elsewhere: {config_path}",
            "Such a project ignores a branch's own configuration: use a project of your own (placement own).",
        )
    if project.archived:
        raise PreconditionFailed(
            f"the project {project_path} is archived",
            "Have it unarchived, or choose another for the context.",
        )
    has_config = False
    if project.default_branch is not None and not project.empty_repo:
        has_config = await api.file_exists(project.id, config_path, project.default_branch)
    return ProjectInfo(
        id=project.id,
        path=project.path_with_namespace,
        username=user.username,
        default_branch=None if project.empty_repo else project.default_branch,
        config_path=config_path,
        has_config=has_config,
        takes_inputs=version.parts >= INPUTS_SINCE,
        has_id_tokens=version.parts >= ID_TOKENS_SINCE,
        lists_all_projects=version.parts >= LISTS_ALL_SINCE,
        timeout_s=float(project.build_timeout or USUAL_TIMEOUT_S),
    )


class CurrentProject:
    """The project of a context, which is queried once."""

    def __init__(self, api: GitLabApi, path: str) -> None:
        self._api = api
        self._path = path
        self._finding = asyncio.Lock()
        self._info: ProjectInfo | None = None

    async def info(self) -> ProjectInfo:
        """Return the project's facts. Raises what `find_project` does."""
        async with self._finding:
            if self._info is None:
                self._info = await find_project(self._api, self._path)
            return self._info

    def update(self, info: ProjectInfo) -> None:
        """Replace the facts by newer ones."""
        self._info = info
