"""Polls: one request for all, whatever else the project's pipelines are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.backend.providers.contract import attempt, workspace
from tests.backend.providers.gitlab.harness import WORKLOAD, Instance, now
from wsdash.backend.providers.gitlab.provider import GitLabProvider
from wsdash.model import Cause, JobObservation, JobState


async def test_a_look_at_a_hundred_workspaces_is_one_request(
    instance: Instance, provider: GitLabProvider
) -> None:
    for number in range(1, 4):
        await provider.launch(workspace(number), now(instance, of=workspace(number)), WORKLOAD)
    add_running(instance, 97)
    for _ in range(12):
        # What they have done so far is asked for once, for a few of them with each look.
        await provider.observe()
    instance.server.forget()
    look = await provider.observe()
    assert len(look.jobs) == 100
    assert instance.server.asked() == [f"GET /projects/{instance.project.id}/pipelines"]


async def test_jobs_that_live_are_seen_however_many_ended_ones_are_newer(
    instance: Instance, provider: GitLabProvider
) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    await provider.observe()
    add_running(instance, 150, status="success")
    look = await provider.observe()
    assert attempt().id in {job.attempt_id for job in look.jobs if job.state is JobState.QUEUED}


async def test_a_pipeline_made_twice_is_kept_once(instance: Instance, provider: GitLabProvider) -> None:
    job = await provider.launch(workspace(), now(instance), WORKLOAD)
    first = instance.server.state.pipelines[int(job.job_id)]
    config = first.jobs[0].config
    instance.server.do(
        lambda: instance.server.state.add_pipeline(
            first.project, first.ref, first.sha, first.user, first.name, {"workspace": config}
        )
    )
    look = await provider.observe()
    assert [seen.job_id for seen in look.jobs] == [job.job_id]
    assert [p.status for p in instance.server.state.pipelines.values()] == ["pending", "canceled"]


@pytest.mark.parametrize("step", [-7200.0, 7200.0])
async def test_after_this_machines_clock_was_set_no_time_of_before_counts(
    instance: Instance, provider: GitLabProvider, step: float
) -> None:
    wall, boot, poller = [1_900_000_000.0], [0.0], provider._poller
    poller._clock, poller._boot_clock = (lambda: wall[0]), (lambda: boot[0])
    poller._api.client._clock = poller._clock
    add_running(instance, 1)
    (pipeline,) = instance.server.state.pipelines.values()
    pipeline.created_at -= 10_000

    async def look(seq: int, seconds: float = 10.0) -> JobObservation:
        pipeline.name = f"wsdash/w1 a1.1.1 1000 ready {seq} active=990"
        pipeline.ref = "wsdash/w1"
        boot[0] += 10.0
        wall[0] += seconds
        (job,) = (await provider.observe()).jobs
        return job

    await look(1)
    before = await look(2)
    assert before.beat is not None and before.beat.active_at == wall[0] - 20
    after = await look(2, 10.0 + step)
    assert after.beat is not None
    assert (after.beat.at, after.beat.active_at) == (wall[0], wall[0] - 10)


async def test_a_foreign_name_on_another_branch_is_nobodys_heartbeat(
    instance: Instance, provider: GitLabProvider
) -> None:
    job = await provider.launch(workspace(), now(instance), WORKLOAD)
    pipeline = instance.server.state.pipelines[int(job.job_id)]
    pipeline.ref = "main"
    assert (await provider.observe()).jobs == ()


async def test_a_job_that_no_runner_takes_says_so(instance: Instance, provider: GitLabProvider) -> None:
    next(iter(instance.server.state.runners.values())).paused = True
    await provider.launch(workspace(), now(instance), WORKLOAD)
    pipeline = next(iter(instance.server.state.pipelines.values()))
    pipeline.created_at -= 60
    (job,) = (await provider.observe()).jobs
    assert job.state is JobState.QUEUED
    assert "no runner takes it: every suitable runner is paused" in (job.message or "")


async def test_a_developer_is_told_that_none_is_online(instance: Instance, provider: GitLabProvider) -> None:
    next(iter(instance.server.state.runners.values())).paused = True
    instance.project.roles[instance.user.id] = 30
    await provider.launch(workspace(), now(instance), WORKLOAD)
    next(iter(instance.server.state.pipelines.values())).created_at -= 60
    (job,) = (await provider.observe()).jobs
    assert "none with these tags is online" in (job.message or "")


@pytest.mark.parametrize(
    ("what", "cause", "words"),
    [("quota_exceeded", Cause.QUOTA, "CI minutes"), ("no runner", Cause.NO_RUNNER, "tags")],
)
async def test_what_another_job_would_meet_as_well_has_its_own_cause(
    instance: Instance, provider: GitLabProvider, what: str, cause: Cause, words: str
) -> None:
    if what == "quota_exceeded":
        instance.project.quota_exceeded = True
    await provider.launch(workspace(), now(instance), WORKLOAD)
    if what == "no runner":
        instance.server.do(instance.server.state.runners.clear)
        instance.server.advance(3700)
    (job,) = (await provider.observe()).jobs
    assert (job.state, job.cause) == (JobState.ENDED, cause)
    assert words in (job.message or "")


async def test_a_resource_group_that_never_lets_go_is_held_with_a_reason(
    instance: Instance, provider: GitLabProvider
) -> None:
    instance.server.state.stuck_in_resource.add(f"wsdash-{workspace().id}")
    await provider.launch(workspace(), now(instance), WORKLOAD)
    (job,) = (await provider.observe()).jobs
    assert job.state is JobState.HELD and "resource group" in (job.message or "") and job.state_since


def add_running(instance: Instance, count: int, status: str = "running") -> None:
    """Pipelines as other processes have made them, each with a heartbeat."""
    state, at = instance.server.state, int(instance.clock())

    def add() -> None:
        for number in range(count):
            key = f"b{number}-{status}"
            name = f"wsdash/{key} {key}.1.1 {at} ready 1 config=0 started={at}"
            pipeline = state.add_pipeline(
                instance.project, f"wsdash/{key}", "0" * 40, instance.user, name, {"workspace": {}}
            )
            job = pipeline.jobs[0]
            state.start(job, next(iter(state.runners.values())), cancels_gracefully=True)
            job.trace += b'wsdash/1 step {"phase":"preStart","state":"start","at":1}\nwsdash/1 ready {}\n'
            if status != "running":
                state.finish(job, status, None)

    instance.server.do(add)


async def test_a_look_amid_a_launch_makes_nobody_a_stranger(
    instance: Instance, provider: GitLabProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commits of older pipelines are no news of the branch, once another commit was written to it."""
    await provider.launch(workspace(), now(instance), WORKLOAD)
    create = provider._api.create_pipeline

    async def slowly(*arguments: Any) -> Any:  # noqa: ANN401
        await provider.observe()
        return await create(*arguments)

    monkeypatch.setattr(provider._api, "create_pipeline", slowly)
    await provider.launch(workspace(), now(instance, 2), replace(WORKLOAD, image="debian"))
    assert {p.status for p in instance.server.state.pipelines.values()} == {"pending", "waiting_for_resource"}
