"""The jobs that the provider listens to, and the workspaces for which the relay runs."""

from __future__ import annotations

import pytest

from tests.backend.providers.contract import attempt, workspace
from tests.backend.providers.gitlab.harness import WORKLOAD, Instance, now
from wsdash.backend.providers.gitlab.provider import GitLabProvider
from wsdash.model import Attempt, JobState, Workspace


async def test_the_relay_is_kept_running_for_a_job_that_starts_too(
    instance: Instance, provider: GitLabProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be waiting for its checkpoint, which comes by its line."""
    opened = []

    async def ensure_relay() -> None:
        opened.append(instance.clock())

    monkeypatch.setattr(provider._tunnel, "ensure_relay", ensure_relay)
    await provider.launch(workspace(), now(instance), WORKLOAD)
    opened.clear()
    (job,) = (await provider.observe()).jobs
    assert job.state is not JobState.RUNNING
    assert len(opened) == 1
    await provider.force_cancel(attempt())
    await provider.observe()
    assert len(opened) == 1


async def test_a_job_whose_launcher_died_is_let_in_when_it_is_found_unless_there_is_a_newer_one(
    instance: Instance, provider: GitLabProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    follower = instance.provider()
    let_in = []

    async def authorize(_: Workspace, of: Attempt, pipeline_id: int) -> None:
        let_in.append((of.number, str(pipeline_id)))

    monkeypatch.setattr(follower._tunnel, "authorize", authorize)
    (job,) = (await follower.observe()).jobs
    await follower.adopted(workspace(), now(instance))
    assert let_in == [(1, job.job_id)]

    await provider.launch(workspace(), now(instance, 2), WORKLOAD)
    await follower.observe()
    await follower.adopted(workspace(), now(instance))
    assert len(let_in) == 1
