"""Values of secrets as masked CI/CD variables of the project, each for one workspace (GitLab: "CI/CD variables").

All jobs of a project get all its variables, so the name contains the workspace's id; only the workspace's own jobs use
the value (`gitlab.sh`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from wsdash.backend.clone_address import Credential, scoped
from wsdash.backend.providers.errors import PermanentError, PreconditionFailed
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import Forbidden

SHORTEST = 8
"""Length of the shortest value that GitLab masks, in characters."""


def variable_of(workspace_id: str, name: str) -> str:
    """Return the name of the project's variable that stores a workspace's secret."""
    return f"{_prefix(workspace_id)}{name}"


def check(name: str, value: str) -> None:
    """Check that GitLab can mask the value, so that it does not appear in logs. Raises `PermanentError`."""
    reason = ""
    if len(value) < SHORTEST:
        reason = f"it has fewer than {SHORTEST} characters"
    elif any(char.isspace() or not char.isprintable() for char in value):
        reason = "it contains blanks or line breaks"
    if reason:
        raise PermanentError(
            f"GitLab cannot mask the value of {name}: {reason}",
            "Encode it, for example with base64, and decode it in the workspace; or omit it.",
        )


async def keep(api: GitLabApi, project: int, workspace_id: str, values: Mapping[str, str]) -> None:
    """Store each value, in one request each. Raises `PermanentError` for a value, `PreconditionFailed` if the role
    forbids it.
    """
    for name, value in values.items():
        check(name, value)
    for name, value in values.items():
        try:
            await api.create_variable(project, variable_of(workspace_id, name), value)
        except Forbidden as error:
            raise PreconditionFailed(
                f"only maintainers of the project may store the secret {name} there",
                "Ask one to add it as a masked variable, or omit it here.",
            ) from error


async def keep_credentials(
    api: GitLabApi, project: int, workspace_id: str, instance: str, credentials: Collection[Credential]
) -> None:
    """Store each credential as a variable that `gitlab.sh` writes to a file; none for the instance itself, as jobs have
    a token.

    Raises `PreconditionFailed` if the role forbids it.
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
                f"the credential for {credential.host} in the address cannot be passed to jobs: they have no tunnel to"
                " this machine, and only maintainers may store it in the project",
                "Set host in [access] of config.toml to this machine's name as runners see it; or remove it.",
            ) from error


async def forget(api: GitLabApi, project: int, workspace_id: str) -> None:
    """Remove the variables of one workspace. A user who may not see variables has created none."""
    try:
        names = await api.variable_names(project)
    except Forbidden:
        return
    for name in names:
        if name.startswith(_prefix(workspace_id)):
            await api.delete_variable(project, name)


def _prefix(workspace_id: str) -> str:
    return f"WSDASH_{workspace_id}_"
