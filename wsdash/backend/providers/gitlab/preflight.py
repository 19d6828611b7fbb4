"""Checks a token's rights in a project, and reports missing ones. The checks change nothing.

`facts` queries GitLab; `findings` is pure. Roles and limits are those of GitLab's pages "Permissions and roles",
"CI/CD job token" and "Configure runners".
"""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.models import (
    AllowedProject,
    Project,
    ProtectedBranch,
    Runner,
    Token,
    User,
    Version,
)
from wsdash.backend.providers.gitlab.api.project import DEVELOPER, ID_TOKENS_SINCE, INPUTS_SINCE
from wsdash.backend.providers.gitlab.ci.timeouts import LEAST_S
from wsdash.backend.providers.gitlab.observe import runner_fit
from wsdash.backend.providers.types import Finding
from wsdash.config.settings import GitLabSettings

MAINTAINER, OWNER = 40, 50
WRONG_CLOCK_S = 60.0
"""Largest difference of the clocks, in seconds, with which the relay accepts id tokens (token_verifier.LEEWAY_S)."""
NAMES_SINCE = (16, 6)
"""The version of GitLab from which the list of pipelines contains their names."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Facts:
    """GitLab's answers. None means that this user may not see the answer."""

    user: User
    version: Version
    token: Token | None
    project: Project
    runners: list[Runner] | None
    protected: list[ProtectedBranch] | None
    allowlist: list[AllowedProject] | None
    traces_commands: bool | None
    """Whether the project's variables have jobs log each command with its variables."""
    skew: float
    """Seconds that this machine's clock is ahead of GitLab's."""


async def facts(api: GitLabApi, settings: GitLabSettings) -> Facts:
    """Query everything at once: eight requests, and one for each runner. Raises what the API does for user and
    project.
    """
    user, (version, skew), token, project = await asyncio.gather(
        api.user(), api.version_and_skew(), api.token(), api.project(settings.project)
    )
    runners, protected, allowlist, traces = await asyncio.gather(
        _or_none(runner_fit.runners_of(api, project.id)),
        _or_none(api.protected_branches(project.id)),
        _or_none(api.job_token_allowlist(project.id)),
        _or_none(api.traces_commands(project.id)),
    )
    return Facts(user, version, token, project, runners, protected, allowlist, traces, skew)


def findings(found: Facts, settings: GitLabSettings) -> list[Finding]:
    """Return each result of the checks: fine, or missing, with a remedy."""
    return [
        *_address(settings.url),
        *_own_address(found.project, settings.url),
        *_token(found),
        *_role(found),
        *_pipelines(found),
        *_runners(found, settings),
        *_debug(found),
        *_version(found),
        *_clock(found),
        *_time(found, settings),
        *_placement(found, settings),
        *_volume(found, settings),
    ]


async def probe(api: GitLabApi, settings: GitLabSettings) -> list[Finding]:
    """Return the findings; if GitLab does not answer, the reason is the only finding."""
    try:
        return findings(await facts(api, settings), settings)
    except ProviderError as error:
        return [Finding("blocked", error.message, error.hint)]


def _address(url: str) -> Iterator[Finding]:
    host = urlsplit(url).hostname or ""
    if url.startswith("http://") and host != "localhost" and not host.startswith("127.") and host != "::1":
        yield Finding(
            "warning",
            "the token travels unencrypted: anyone on the network path can read and use it",
            f"Use https://{url.removeprefix('http://')} where the instance offers it.",
        )


def _own_address(project: Project, url: str) -> Iterator[Finding]:
    """Warn of an address that is not GitLab's own (`external_url`), which it writes into tokens and job variables."""
    own = project.web_url.removesuffix(f"/{project.path_with_namespace}")
    if not own or own == project.web_url or _place(own) == _place(url):
        return
    yield Finding(
        "warning",
        f"this GitLab calls itself {own}, not {url}: jobs get their tokens for {own}, so this machine rejects them, and"
        f" they clone no source by {url}",
        f"Use --url {own}, if this machine reaches it, or have GitLab's external_url changed.",
    )


def _place(url: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", parts.port or usual, parts.path.rstrip("/")


def _token(found: Facts) -> Iterator[Finding]:
    name = found.user.username
    if found.token is None:
        yield Finding("warning", f"you are {name}; GitLab does not report the token's scopes")
        return
    if "api" not in found.token.scopes:
        scopes = ", ".join(found.token.scopes) or "none"
        yield Finding(
            "blocked",
            f"the token's scopes are {scopes}, but pipelines need api",
            "Create a token with the scope api.",
        )
        return
    until = found.token.expires_at
    yield Finding("ok", f"you are {name}, with a token for the API{f' until {until}' if until else ''}")


def _role(found: Facts) -> Iterator[Finding]:
    level = found.project.permissions.level if found.project.permissions else 0
    path = found.project.path_with_namespace
    if found.project.archived:
        yield Finding("blocked", f"{path} is archived", "Have it unarchived, or choose another project.")
    elif level < DEVELOPER:
        yield Finding(
            "blocked",
            f"your role in {path} is too low to run pipelines",
            "Ask a maintainer for the role Developer.",
        )
    elif level < MAINTAINER:
        yield Finding(
            "warning",
            f"you are Developer in {path}: you cannot force a stuck job to end, which may take GitLab an hour",
            "A project of your own (placement own) has no such limit.",
        )
    elif level < OWNER:
        yield Finding(
            "warning",
            f"you are Maintainer in {path}: deleting a workspace leaves the records of its pipelines there",
            "Only owners may delete pipelines. A project of your own (placement own) has no such limit.",
        )
    else:
        yield Finding("ok", f"you own {path}")


def _pipelines(found: Facts) -> Iterator[Finding]:
    project = found.project
    if project.builds_access_level == "disabled" or project.jobs_enabled is False:
        yield Finding(
            "blocked", "CI/CD is disabled there", "Enable it: Settings > General > Visibility, CI/CD."
        )
    config = project.ci_config_path or ""
    if "@" in config or "://" in config:
        yield Finding(
            "blocked",
            f"the project reads its CI configuration from {config} and ignores a branch's own",
            "Use a project of your own (placement own).",
        )
    patterns = _protecting(found)
    level = project.permissions.level if project.permissions else 0
    if patterns and level < MAINTAINER:
        yield Finding(
            "blocked",
            f"branches like {patterns[0]} are protected, and you may not push to wsdash/*",
            "Have them unprotected, or use a project of your own (placement own).",
        )
    if project.ci_restrict_pipeline_cancellation_role in ("maintainer", "no_one"):
        who = project.ci_restrict_pipeline_cancellation_role
        if who == "no_one" or level < MAINTAINER:
            yield Finding(
                "blocked",
                "the project does not allow you to cancel pipelines, so no workspace could be stopped",
                "Change it: Settings > CI/CD > General pipelines.",
            )


def _runners(found: Facts, settings: GitLabSettings) -> Iterator[Finding]:
    if found.runners is None:
        yield Finding(
            "warning",
            "your role does not allow you to see the runners",
            "wsdash reports a job that no runner takes after half a minute.",
        )
        return
    is_protected = bool(_protecting(found))
    reason = runner_fit.none_fits(found.runners, settings.tags, is_protected=is_protected)
    if reason is not None:
        yield Finding("blocked", *reason)
        return
    fitting = runner_fit.fitting(found.runners, settings.tags, is_protected=is_protected)
    tags = f" ({', '.join(settings.tags)})" if settings.tags else ""
    if all(runner.run_untagged is None for runner in fitting):
        yield Finding(
            "warning",
            f"{len(fitting)} runners may fit{tags}: your role does not show which jobs they take",
            "wsdash reports a job that no runner takes after half a minute.",
        )
    elif all(runner.online is False for runner in fitting):
        yield Finding(
            "warning",
            f"no suitable runner{tags} is online",
            "A job waits until one is; its admin may know more.",
        )
    else:
        yield Finding("ok", f"{len(fitting)} runners fit{tags}")


def _debug(found: Facts) -> Iterator[Finding]:
    if found.traces_commands:
        yield Finding(
            "warning",
            "the project's variable CI_DEBUG_TRACE has jobs log every command with its variables, so the log shows"
            " secrets",
            "Remove it (Settings > CI/CD > Variables), and have the logs of jobs that ran with it deleted.",
        )


def _version(found: Facts) -> Iterator[Finding]:
    version = found.version
    if version.parts < NAMES_SINCE:
        yield Finding(
            "blocked",
            f"GitLab {version.version} does not list the names of pipelines, which contain the heartbeats",
            "wsdash needs GitLab 16.6 or newer.",
        )
    elif version.parts < INPUTS_SINCE:
        yield Finding(
            "warning", f"GitLab {version.version} does not support inputs: each restart needs a commit too"
        )
    else:
        yield Finding("ok", f"GitLab {version.version}")
    if version.parts < ID_TOKENS_SINCE:
        yield Finding("warning", "it does not support id tokens, so jobs authenticate with one-time secrets")


def _clock(found: Facts) -> Iterator[Finding]:
    if abs(found.skew) >= WRONG_CLOCK_S:
        yield Finding(
            "warning",
            f"this machine's clock is {abs(found.skew):.0f} s {'ahead of' if found.skew > 0 else 'behind'} GitLab's: "
            "this machine may reject jobs, because their tokens seem expired or not yet valid",
            "Synchronize it over the network (timedatectl set-ntp true).",
        )


def _time(found: Facts, settings: GitLabSettings) -> Iterator[Finding]:
    limit = settings.timeout_s or found.project.build_timeout
    if limit is None:
        yield Finding(
            "warning",
            "your role does not show the project's job timeout, so one hour is assumed",
            "Set timeout_s of the context to what the runners allow (--timeout).",
        )
    elif limit < LEAST_S:
        yield Finding("warning", f"jobs may run for {limit:g} s only", "GitLab's minimum is ten minutes.")
    else:
        yield Finding("ok", f"a job runs for {limit / 3600:.3g} h, saves, and is followed by the next")


def _protecting(found: Facts) -> list[str]:
    """Return the protected branches, by name or pattern, that include the branches of workspaces."""
    return including(found.protected)


def including(protected: list[ProtectedBranch] | None) -> list[str]:
    """Return those of the protected branches that include the branches of workspaces."""
    return [one.name for one in protected or [] if fnmatch.fnmatchcase("wsdash/0", one.name)]


def _placement(found: Facts, settings: GitLabSettings) -> Iterator[Finding]:
    if settings.placement == "source":
        yield Finding(
            "ok",
            "workspaces run in the project of the code: it has its CI variables and runners, and all users who may"
            " push there can read their caches",
            ""
            if found.protected is None or _protecting(found)
            else "They can also change the jobs: protect the branches wsdash/* to restrict who can"
            " (docs/gitlab.md).",
        )
        return
    yield Finding(
        "ok",
        "workspaces run in a project of your own: only you can read their caches, and jobs clone the code with the"
        " job's token",
        "Each project to be cloned must have this one on its job-token allowlist: Settings > CI/CD > Job token"
        " permissions.",
    )


def _volume(found: Facts, settings: GitLabSettings) -> Iterator[Finding]:
    if settings.volume is None:
        return
    runners = found.runners or []
    count = len(runner_fit.fitting(runners, settings.tags, is_protected=bool(_protecting(found))))
    if count > 1:
        yield Finding(
            "warning",
            f"{count} runners have the tags {', '.join(settings.tags)}, each maybe with its own {settings.volume}",
            "Choose tags that select one of them, or mount the same folder on all of them.",
        )
    yield Finding(
        "ok",
        f"new workspaces store their files in folders of {settings.volume}, which every job of the runner can access",
    )


async def source_finding(api: GitLabApi, settings: GitLabSettings, source: str) -> Finding | None:
    """Return whether the jobs of the workspaces' project may clone this project of the same instance.

    None if that is unknown or not needed. Raises what the API does.
    """
    if settings.placement == "source" or source == settings.project:
        return None
    own, other = await asyncio.gather(api.project(settings.project), api.project(source))
    allowed = await api.job_token_allowlist(other.id)
    if allowed is None:
        return None
    if own.id in {project.id for project in allowed}:
        return Finding("ok", f"jobs of {settings.project} may clone {source}")
    return Finding(
        "warning",
        f"jobs of {settings.project} may not clone {source}: it is not on that project's job-token allowlist",
        f"In {source}: Settings > CI/CD > Job token permissions, add {settings.project}.",
    )


async def _or_none(asking: Awaitable[T]) -> T | None:
    """Return None for an answer that the user's role does not allow."""
    try:
        return await asking
    except ProviderError:
        return None
