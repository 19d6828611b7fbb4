"""Ending jobs at once, and removal of what the project has of a workspace."""

from __future__ import annotations

import pytest

from tests.backend.providers.contract import workspace
from tests.backend.providers.gitlab.harness import WORKLOAD, Instance, now
from wsdash.backend.providers.errors import PreconditionFailed
from wsdash.backend.providers.gitlab.provider import GitLabProvider


async def test_a_developer_is_told_why_an_ending_job_cannot_be_forced(instance: Instance) -> None:
    instance.project.roles[instance.user.id] = 30
    provider = instance.provider()
    await provider.launch(workspace(), now(instance), WORKLOAD)
    state = instance.server.state
    job = next(iter(state.jobs.values()))
    runner = next(iter(state.runners.values()))
    instance.server.do(lambda: state.start(job, runner, cancels_gracefully=True))
    with pytest.raises(PreconditionFailed, match="only a maintainer may force it"):
        await provider.force_cancel(now(instance))
    assert job.status == "canceling"
    await provider.aclose()


async def test_delete_removes_branch_and_pipelines_and_touches_nothing_else(
    instance: Instance, provider: GitLabProvider
) -> None:
    before = instance.project.repository.head("main")
    await provider.launch(workspace(), now(instance), WORKLOAD)
    await provider.launch(workspace(2), now(instance, of=workspace(2)), WORKLOAD)
    await provider.destroy(workspace())
    assert sorted(instance.project.repository.branches()) == ["main", f"wsdash/{workspace(2).id}"]
    assert instance.project.repository.head("main") == before
    assert {p.ref for p in instance.server.state.pipelines.values()} == {f"wsdash/{workspace(2).id}"}
