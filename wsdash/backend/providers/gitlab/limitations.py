"""Finds what a project does not give a workload: runners, secrets, and code that its jobs may not clone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import NotFound
from wsdash.backend.providers.gitlab.api.models import Project, Variable
from wsdash.backend.providers.gitlab.observe import runner_fit
from wsdash.backend.providers.gitlab.preflight import including, source_finding
from wsdash.backend.providers.types import Limitation
from wsdash.config.settings import GitLabSettings
from wsdash.workload import Secret, Workload


async def limitations_of(api: GitLabApi, settings: GitLabSettings, workload: Workload) -> list[Limitation]:
    """Return the limitations, with a request for each runner and secret, and three if another project is cloned. Never
    raises.
    """
    try:
        found = [await _of_source(api, settings, workload)]
        project = await api.project(settings.project)
        found.append(await _of_runners(api, settings, project))
        if workload.secrets:
            found += await asyncio.gather(*(_of_secret(api, project, secret) for secret in workload.secrets))
    except ProviderError:
        return []
    return [limitation for limitation in found if limitation is not None]


def project_of(url: str, instance: str) -> str | None:
    """Return the path of the project that an address names at an instance, None for an address of another instance.

    Accepts https addresses, and ssh addresses of the same host.
    """
    host = re.sub(r"^https?://", "", instance)
    name = re.escape(host.split("/")[0].partition(":")[0])
    for pattern in (
        rf"https?://{re.escape(host)}/(.+)",
        rf"ssh://(?:[^@/]+@)?{name}(?::\d+)?/(.+)",
        rf"[^@/\s]+@{name}:(.+)",
    ):
        found = re.fullmatch(pattern, url)
        if found is not None:
            return found[1].strip("/").removesuffix(".git")
    return None


async def _of_source(api: GitLabApi, settings: GitLabSettings, workload: Workload) -> Limitation | None:
    path = project_of(workload.source.url, settings.url) if workload.source is not None else None
    finding = await source_finding(api, settings, path) if path is not None else None
    return (
        Limitation(finding.message, finding.hint) if finding is not None and finding.level != "ok" else None
    )


async def _of_runners(api: GitLabApi, settings: GitLabSettings, project: Project) -> Limitation | None:
    runners = await runner_fit.runners_of(api, project.id)
    if runners is None:
        return None
    reason = runner_fit.none_fits(runners, settings.tags, is_protected=False)
    if reason is not None and including(await api.protected_branches(project.id)):
        reason = runner_fit.none_fits(runners, settings.tags, is_protected=True)
    return None if reason is None else Limitation(f"its job would wait: {reason[0]}", reason[1])


async def _of_secret(api: GitLabApi, project: Project, secret: Secret) -> Limitation | None:
    where = f"{project.web_url}/-/settings/ci_cd" if project.web_url else "Settings > CI/CD > Variables"
    try:
        variable = await api.variable(project.id, secret.name)
    except NotFound:
        about = f" ({secret.description})" if secret.description else ""
        return Limitation(
            f"the secret {secret.name}{about} is not a CI/CD variable of {project.path_with_namespace}",
            f"wsdash asks for its value; or add it to the project, masked and not protected: {where}, or to its group.",
            secret,
        )
    except ProviderError:  # the user's role does not allow to see variables
        return None
    return next(_of_variable(variable, where), None)


def _of_variable(variable: Variable, where: str) -> Iterator[Limitation]:
    if variable.protected:
        yield Limitation(
            f"the secret {variable.key} is for protected branches only, but workspaces run on unprotected ones",
            f"Remove its protection: {where}",
        )
    if not variable.masked:
        yield Limitation(
            f"the secret {variable.key} is not masked, so a log may show it", f"Mask it: {where}"
        )
