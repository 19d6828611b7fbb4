"""Values of secrets as masked CI/CD variables of the project, each for one workspace (GitLab: "CI/CD variables").

All jobs of a project get all its variables, so the name says whose it is; the workspace's job alone takes it
for its own (`gitlab.sh`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from wsdash.backend.clone_address import Credential, scoped
from wsdash.backend.providers.errors import PermanentError, PreconditionFailed
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import Forbidden

SHORTEST = 8
"""Characters of the shortest value that GitLab masks."""


def variable_of(workspace_id: str, name: str) -> str:
    """The variable in which the project keeps a workspace's secret."""
    return f"{_prefix(workspace_id)}{name}"


def check(name: str, value: str) -> None:
    """Raises `PermanentError` for a value that GitLab cannot mask, which would then stand in logs."""
    reason = ""
    if len(value) < SHORTEST:
        reason = f"it has fewer than {SHORTEST} characters"
    elif any(char.isspace() or not char.isprintable() for char in value):
        reason = "it has blanks or line ends in it"
    if reason:
        raise PermanentError(
            f"GitLab cannot mask the value of {name}: {reason}",
            "Encode it, as with base64, and decode it in the workspace; or leave it out.",
        )


async def keep(api: GitLabApi, project: int, workspace_id: str, values: Mapping[str, str]) -> None:
    """One request each. Raises `PermanentError` for a value, `PreconditionFailed` where the role does not allow it."""
    for name, value in values.items():
        check(name, value)
    for name, value in values.items():
        try:
            await api.create_variable(project, variable_of(workspace_id, name), value)
        except Forbidden as error:
            raise PreconditionFailed(
                f"only maintainers of the project may keep the secret {name} there",
                "Ask one to add it as a masked variable, or leave it out here.",
            ) from error


async def keep_credentials(
    api: GitLabApi, project: int, workspace_id: str, instance: str, credentials: Collection[Credential]
) -> None:
    """Each as a variable that `gitlab.sh` makes a file of; none for the instance itself, where a job has its own token.

    Raises `PreconditionFailed` where the role does not allow it.
    """
    needed = [
        one
        for one in scoped(credentials)
        if one.password is not None and not f"{instance}/".startswith(f"{one.protocol}://{one.host}/")
    ]
    for number, credential in enumerate(needed):
        name = variable_of(workspace_id, f"GIT_CREDENTIAL_{number}")
        try:
            await api.delete_variable(project, name)
            await api.create_variable(project, name, credential.line)
        except Forbidden as error:
            raise PreconditionFailed(
                f"what the address has for {credential.host} cannot be handed to jobs: none of them has a tunnel to"
                " this machine, and only maintainers may keep it in the project",
                "Set host in [access] of config.toml to this machine's name as runners see it, or leave it out.",
            ) from error


async def forget(api: GitLabApi, project: int, workspace_id: str) -> None:
    """Remove those of one workspace. Who may not see variables has made none."""
    try:
        names = await api.variable_names(project)
    except Forbidden:
        return
    for name in names:
        if name.startswith(_prefix(workspace_id)):
            await api.delete_variable(project, name)


def _prefix(workspace_id: str) -> str:
    return f"WSDASH_{workspace_id}_"
