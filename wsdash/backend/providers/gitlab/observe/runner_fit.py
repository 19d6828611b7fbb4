"""The runners of a project that may take its workspaces' jobs, and why the others do not.

GitLab's list of a project's runners has neither their tags nor what they take, so each one is requested (GitLab:
"Runners API"). The rules are those of its pages "Configure runners" and "Manage runners".
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.models import Runner

MOST_RUNNERS = 20
"""Most runners that are requested one by one."""
ONLY_PROTECTED = "ref_protected"
_LOCKED = "A runner that is locked to another project must be unlocked there first."


async def runners_of(api: GitLabApi, project: int) -> list[Runner] | None:
    """Return the project's runners, with what they take as far as the user may see it; None if not even the list."""
    listed = await api.runners(project)
    if listed is None:
        return None
    detailed = await asyncio.gather(*(_detail(api, runner) for runner in listed[:MOST_RUNNERS]))
    return [*detailed, *listed[MOST_RUNNERS:]]


async def _detail(api: GitLabApi, listed: Runner) -> Runner:
    try:
        return await api.runner(listed.id)
    except ProviderError:
        return listed


def obstacle(runner: Runner, tags: Collection[str], *, is_protected: bool) -> str | None:
    """Return why a runner does not take a job with these tags, as a part of a sentence; None if it may.

    `is_protected`: the branches of workspaces are protected.
    """
    if tags and runner.tag_list is not None and not set(tags) <= set(runner.tag_list):
        return "has other tags"
    if not tags and runner.run_untagged is False:
        return "takes only jobs with its tags"
    if runner.access_level == ONLY_PROTECTED and not is_protected:
        return "takes only jobs of protected branches"
    return "is paused" if runner.paused else None


def fitting(runners: Sequence[Runner], tags: Collection[str], *, is_protected: bool) -> list[Runner]:
    """Return the runners that may take the job."""
    return [runner for runner in runners if obstacle(runner, tags, is_protected=is_protected) is None]


def none_fits(
    runners: Sequence[Runner], tags: Collection[str], *, is_protected: bool
) -> tuple[str, str] | None:
    """Return why none of the runners takes the job, and the remedy; None if one may."""
    found = {obstacle(runner, tags, is_protected=is_protected) for runner in runners}
    if None in found:
        return None
    which = f"with the tags {', '.join(sorted(tags))}" if tags else "that takes jobs without tags"
    if "is paused" in found:
        return "every suitable runner is paused", "Ask for one to be resumed."
    if "takes only jobs of protected branches" in found:
        return (
            "every suitable runner takes only jobs of protected branches, and wsdash/* is not protected",
            "Change the runner (Settings > CI/CD > Runners, Protected), or have the branches wsdash/* protected.",
        )
    return f"the project has no runner {which}", f"Register one, or choose other tags (--tag). {_LOCKED}"
