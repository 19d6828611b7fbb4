"""Connects to a GitLab instance: finds credentials for it, and checks their rights."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError, as_failure
from wsdash.backend.operations import context_file
from wsdash.backend.providers.errors import ProviderError
from wsdash.config.settings import GitLabSettings
from wsdash.paths import Paths

if TYPE_CHECKING:
    from wsdash.backend.providers.gitlab.api.tokens import Credential
    from wsdash.backend.providers.types import Finding


@dataclass(frozen=True, slots=True)
class ContextRequest:
    """The user's input for a context. An empty token means one that is already stored."""

    name: str
    url: str
    project: str = ""
    token: str = field(default="", repr=False)
    placement: str = ""
    tags: tuple[str, ...] = ()
    ca_file: str = ""
    access_host: str = ""


@dataclass(frozen=True, slots=True)
class ContextPreview:
    """The context as it would be added, and the results of the checks. `token_source` is empty for a typed token."""

    name: str
    settings: GitLabSettings
    token: str = field(repr=False)
    token_source: str
    findings: tuple[Finding, ...]
    access_host: str = ""
    """This machine's name, as runners see it, if it is to be set."""

    @property
    def is_blocked(self) -> bool:
        """Whether no workspace could run there."""
        return any(finding.level == "blocked" for finding in self.findings)


async def preview(
    request: ContextRequest, paths: Paths, environ: Mapping[str, str] = os.environ
) -> ContextPreview:
    """Check the input, find a token if none was typed, and query GitLab. Raises `WsdashError` with its `field`."""
    context_file.check_name(request.name)
    if request.access_host:
        context_file.check_host(request.access_host)
    if not request.url:
        raise UserError(
            "the address of the GitLab instance is missing", "For example https://gitlab.com.", field="url"
        )
    settings = await asyncio.to_thread(_settings_typed, request, request.project or "-", paths)
    token, source = request.token, ""
    if not token:
        found = await asyncio.to_thread(credentials, settings.url, paths, environ)
        if not found:
            raise UserError(
                f"no access token for {settings.url} was found here",
                f"Create one with the scope api: {settings.url}/-/user_settings/personal_access_tokens",
                field="token",
            )
        token, source = found[0].token, found[0].source
    if not request.project:
        known = await projects(settings, token, paths)
        listed = ", ".join(known[:6]) + (", ..." if len(known) > 6 else "")
        raise UserError(
            "the project that runs the workspaces is missing",
            f"You can use: {listed}." if known else "You are not a member of any: create one in GitLab.",
            field="project",
        )
    findings = await check(settings, token, paths)
    if not request.access_host and context_file.read(paths).access.host is None:
        from wsdash.backend.providers.types import Finding

        text = "workspaces there cannot be entered: their jobs do not know the address of this machine"
        findings.append(
            Finding(
                "warning",
                text,
                "Esc goes back to the field Access, which takes the name by which runners reach it.",
            )
        )
    return ContextPreview(request.name, settings, token, source, tuple(findings), request.access_host)


def _settings_typed(request: ContextRequest, project: str, paths: Paths) -> GitLabSettings:
    """Return the settings; those that the form does not ask for keep their values."""
    before = context_file.read(paths).contexts.get(request.name)
    old = before.gitlab if before is not None else None
    kept = asdict(old) if old else {}
    typed = {
        "url": request.url,
        "project": project.strip("/"),
        "placement": request.placement,
        "tags": request.tags,
        "ca_file": request.ca_file,
    }
    try:
        return context_file.settings_of({**kept, **typed}, request.name)
    except UserError as error:
        named = next((key for key in typed if f".{key} " in str(error)), "url")
        raise UserError(str(error), error.hint, field=named) from error


def credentials(url: str, paths: Paths, environ: Mapping[str, str] = os.environ) -> list[Credential]:
    """Return the access tokens that exist for this instance, the best first. Blocks. Raises `WsdashError`."""
    from wsdash.backend.providers.gitlab.api.tokens import find

    with as_failure():
        return find(url, paths.credentials_file, environ)


async def check(
    settings: GitLabSettings, token: str, paths: Paths, sources: Collection[str] = ()
) -> list[Finding]:
    """Check what this token may do in this project; nothing is changed in GitLab.

    `sources` are the clone addresses of workspaces there: whether their jobs may clone them is checked too.
    """
    from wsdash.backend.providers.gitlab.factory import gitlab_api
    from wsdash.backend.providers.gitlab.limitations import project_of
    from wsdash.backend.providers.gitlab.preflight import probe, source_finding

    api = gitlab_api(settings.url, lambda: token, paths, ca_file=settings.ca_file)
    try:
        found = await probe(api, settings)
        for path in sorted({path for source in sources if (path := project_of(source, settings.url))}):
            with suppress(ProviderError):  # a deleted project is reported with its workspaces
                finding = await source_finding(api, settings, path)
                found += [finding] if finding is not None else []
        return found
    finally:
        await api.client.aclose()


async def projects(settings: GitLabSettings, token: str, paths: Paths) -> list[str]:
    """Return projects where workspaces could run, the most recently used first. Raises `WsdashError`."""
    from wsdash.backend.providers.gitlab.factory import gitlab_api

    api = gitlab_api(settings.url, lambda: token, paths, ca_file=settings.ca_file)
    try:
        with as_failure():
            return [project.path_with_namespace for project in await api.own_projects()]
    finally:
        await api.client.aclose()
