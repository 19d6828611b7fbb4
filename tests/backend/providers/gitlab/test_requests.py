"""How many requests it costs: two to create, two to restart, one a look; and a lost reply is found, not repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import yaml

from tests.backend.providers.contract import attempt, workspace
from tests.backend.providers.gitlab.harness import Instance
from tests.gitlab_server.faults import Fault
from tests.waiting import until
from wsdash.backend.providers.errors import OwnershipLost, PermanentError, PreconditionFailed, Unreachable
from wsdash.backend.providers.gitlab.ci.pipeline_name import parse
from wsdash.backend.providers.gitlab.ci.record import Volume, message_of, record_of
from wsdash.backend.providers.gitlab.provider import GitLabProvider
from wsdash.model import Attempt, Cause, JobState, Workspace
from wsdash.workload import EnvVar, Workload

WORKLOAD = Workload(image="alpine")


@pytest.fixture
async def provider(instance: Instance) -> AsyncIterator[GitLabProvider]:
    provider = instance.provider()
    await provider.observe()
    instance.server.forget()
    yield provider
    await provider.aclose()


def now(instance: Instance, number: int = 1, of: Workspace | None = None) -> Attempt:
    return replace(attempt(number, of), intended_at=instance.clock())


async def test_create_is_a_commit_and_a_pipeline_and_a_restart_is_a_look_and_a_pipeline(
    instance: Instance, provider: GitLabProvider
) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    number = instance.project.id
    assert instance.server.asked() == [
        f"POST /projects/{number}/repository/commits",
        f"POST /projects/{number}/pipeline",
    ]
    await provider.force_cancel(attempt())
    instance.server.forget()
    await provider.launch(workspace(), now(instance, 2), WORKLOAD)
    assert instance.server.asked() == restart_of(instance)


def restart_of(instance: Instance) -> list[str]:
    """Whose commit is at the head, and a pipeline of it."""
    number, branch = instance.project.id, f"wsdash/{workspace().id}"
    return [
        f"GET /projects/{number}/repository/branches/{branch}",
        f"POST /projects/{number}/pipeline",
    ]


async def test_another_process_restarts_by_as_few_requests_once_it_has_looked(
    instance: Instance, provider: GitLabProvider
) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    other = instance.provider()
    await other.observe()
    instance.server.forget()
    await other.launch(workspace(), now(instance, 2), WORKLOAD)
    assert instance.server.asked() == restart_of(instance)
    await other.aclose()


async def test_a_changed_workload_is_committed_anew(instance: Instance, provider: GitLabProvider) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    await provider.launch(workspace(), now(instance, 2), replace(WORKLOAD, image="debian"))
    text = instance.project.repository.read(f"wsdash/{workspace().id}", ".gitlab-ci.yml")
    assert text is not None and "name: debian" in text


@pytest.mark.parametrize("version", ["17.11.2-ee", "19.4.1"])
@pytest.mark.parametrize("value", ["plain", "$[[ inputs.attempt ]]"])
async def test_where_gitlab_takes_no_inputs_the_key_stands_in_the_configuration(
    instance: Instance, version: str, value: str
) -> None:
    instance.server.state.version = version
    provider = instance.provider()
    workload = replace(WORKLOAD, env=(EnvVar("VALUE", value),))
    for number in (1, 2):
        await provider.launch(workspace(), now(instance, number), workload)
    names = [parse(p.name) for p in instance.server.state.pipelines.values()]
    assert [beat.number for beat in names if beat is not None] == [1, 2]
    variables = next(iter(instance.server.state.jobs.values())).config["variables"]
    assert variables["VALUE"] == {"value": value, "expand": False}
    await provider.aclose()


@pytest.mark.parametrize("path", ["/repository/commits$", "/pipeline$"])
async def test_a_lost_reply_is_found_by_the_branch_and_never_repeated(
    instance: Instance, provider: GitLabProvider, path: str
) -> None:
    instance.server.faults.add(Fault.LOST_REPLY, method="POST", path=path, times=1)
    with pytest.raises(Unreachable):
        await provider.launch(workspace(), now(instance), WORKLOAD)
    job = await provider.launch(workspace(), now(instance), WORKLOAD)
    assert [str(pipeline) for pipeline in instance.server.state.pipelines] == [job.job_id]


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
    assert job.state is JobState.QUEUED and "no runner takes it" in (job.message or "")


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


async def test_no_push_starts_a_pipeline(instance: Instance, provider: GitLabProvider) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    assert {p.source for p in instance.server.state.pipelines.values()} == {"api"}


async def test_a_configuration_from_elsewhere_is_refused_before_anything_is_made(instance: Instance) -> None:
    instance.project.ci_config_path = "ci.yml@group/other"
    provider = instance.provider()
    with pytest.raises(PreconditionFailed, match="takes its CI configuration from elsewhere"):
        await provider.launch(workspace(), now(instance), WORKLOAD)
    assert list(instance.project.repository.branches()) == ["main"]
    await provider.aclose()


async def test_the_host_that_was_taken_over_from_cannot_launch(
    instance: Instance, provider: GitLabProvider
) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    other = instance.provider(owner="1b1b1b1b", host="there")
    (known,) = (await other.inventory("work")).workspaces
    assert (known.kept_by, known.is_own) == ("here", False)
    await other.take_over(known.workspace, known.workload)
    with pytest.raises(OwnershipLost, match="kept alive by there now"):
        await provider.launch(workspace(), now(instance, 2), WORKLOAD)
    with pytest.raises(OwnershipLost):
        await provider.launch(workspace(), now(instance, 3), replace(WORKLOAD, image="debian"))
    await other.launch(known.workspace, now(instance, 4), known.workload)
    await other.aclose()


@pytest.mark.long
async def test_recovery_of_fifty_workspaces_takes_few_requests_and_leaves_others_alone(
    instance: Instance, provider: GitLabProvider
) -> None:
    for number in range(1, 51):
        own = workspace(number)
        for attempt_number in (1, 2, 3) if number == 7 else (3,):
            await provider.launch(own, now(instance, attempt_number, own), WORKLOAD)
            await provider.force_cancel(attempt(attempt_number, own)) if attempt_number < 3 else None
    stranger = instance.server.add_user("grace")
    instance.project.roles[stranger.id] = 40
    theirs = replace(instance, token=instance.server.add_token(stranger), apis=[]).provider()
    await theirs.launch(workspace(99), now(instance, of=workspace(99)), WORKLOAD)
    fresh = instance.provider()
    instance.server.forget()
    inventory = await fresh.inventory("work")
    assert len(instance.server.asked()) <= 20
    assert (len(inventory.workspaces), inventory.orphans, inventory.others) == (50, (), 1)
    one = next(known for known in inventory.workspaces if known.workspace.id == workspace(7).id)
    assert [a.number for a in one.attempts] == [1, 2, 3] and one.is_live and one.is_own
    assert (one.workspace.name, one.workload, one.workspace.policy) == (
        "demo-7",
        WORKLOAD,
        workspace(7).policy,
    )
    for found in (theirs, fresh):
        await found.aclose()


async def test_a_branch_without_a_record_is_an_orphan_that_can_be_ended(
    instance: Instance, provider: GitLabProvider
) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    branch = f"wsdash/{workspace().id}"
    update = [{"action": "update", "file_path": "README.md", "content": "x"}]
    instance.project.repository.commit(branch, "somebody's own", update, author="grace")
    (orphan,) = (await provider.inventory("work")).orphans
    assert orphan.workspace_id == workspace().id and orphan.job_ids
    await provider.end_orphan(orphan)
    assert list(instance.project.repository.branches()) == ["main"]


async def test_what_can_be_no_job_is_refused_for_good(instance: Instance, provider: GitLabProvider) -> None:
    huge = replace(WORKLOAD, env=(EnvVar("HUGE", "x" * 200_000),))
    with pytest.raises(PermanentError, match="HUGE takes 2000"):
        await provider.launch(workspace(), now(instance), huge)


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


def push_something_else(instance: Instance, author: str = "grace") -> str:
    """A colleague's change of the configuration, which names itself as ours does; what was there before."""
    branch = f"wsdash/{workspace().id}"
    text = instance.project.repository.read(branch, ".gitlab-ci.yml") or ""
    evil = [{"action": "update", "file_path": ".gitlab-ci.yml", "content": text.replace("alpine", "evil")}]
    instance.project.repository.commit(branch, "[skip ci]", evil, author=author)
    return text


def on_the_branch(instance: Instance) -> str | None:
    return instance.project.repository.read(f"wsdash/{workspace().id}", ".gitlab-ci.yml")


@pytest.mark.parametrize("by", ["the same process", "another process"])
async def test_what_somebody_else_has_put_on_the_branch_never_runs(
    instance: Instance, provider: GitLabProvider, by: str
) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    text = push_something_else(instance)
    launcher = provider if by == "the same process" else instance.provider()
    await launcher.observe()
    before = len(instance.server.state.pipelines)
    with pytest.raises(
        PreconditionFailed, match=r"somebody else has changed the branch .* nothing of it ran"
    ):
        await launcher.launch(workspace(), now(instance, 2), WORKLOAD)
    assert len(instance.server.state.pipelines) == before
    await launcher.launch(workspace(), now(instance, 2), WORKLOAD)
    assert on_the_branch(instance) == text
    assert len(instance.server.state.pipelines) == before + 1
    if launcher is not provider:
        await launcher.aclose()


async def test_what_somebody_else_pushes_while_a_pipeline_is_made_is_cancelled_at_once(
    instance: Instance, provider: GitLabProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    text = on_the_branch(instance)
    create = provider._api.create_pipeline

    async def in_the_window(*arguments: Any) -> Any:  # noqa: ANN401
        push_something_else(instance)
        return await create(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(provider._api, "create_pipeline", in_the_window)
        instance.server.forget()
        with pytest.raises(PreconditionFailed, match=r"somebody else has changed the branch .* is cancelled"):
            await provider.launch(workspace(), now(instance, 2), WORKLOAD)
    assert list(instance.server.state.pipelines.values())[-1].status == "canceled"
    assert instance.server.asked()[-1].endswith("/cancel")
    # It looks like the attempt's own pipeline, and is not taken for it, nor its commit for ours.
    await provider.observe()
    await provider.launch(workspace(), now(instance, 2), WORKLOAD)
    assert on_the_branch(instance) == text
    assert [p.status for p in instance.server.state.pipelines.values()].count("canceled") == 1


async def test_a_pipeline_of_another_commit_that_could_not_be_cancelled_is_with_the_next_look(
    instance: Instance, provider: GitLabProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    create = provider._api.create_pipeline

    async def in_the_window(*arguments: Any) -> Any:  # noqa: ANN401
        push_something_else(instance)
        return await create(*arguments)

    monkeypatch.setattr(provider._api, "create_pipeline", in_the_window)
    instance.server.faults.add(Fault.SERVER_ERROR, method="POST", path="/cancel$", times=3)
    with pytest.raises(PreconditionFailed):
        await provider.launch(workspace(), now(instance, 2), WORKLOAD)

    async def is_cancelled() -> bool:
        await provider.observe()
        return list(instance.server.state.pipelines.values())[-1].status == "canceled"

    await until(is_cancelled, what="the cancelled pipeline")


async def test_a_look_amid_a_launch_makes_nobody_a_stranger(
    instance: Instance, provider: GitLabProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What older pipelines ran is no news of the branch, once another commit was written to it."""
    await provider.launch(workspace(), now(instance), WORKLOAD)
    create = provider._api.create_pipeline

    async def slowly(*arguments: Any) -> Any:  # noqa: ANN401
        await provider.observe()
        return await create(*arguments)

    monkeypatch.setattr(provider._api, "create_pipeline", slowly)
    await provider.launch(workspace(), now(instance, 2), replace(WORKLOAD, image="debian"))
    assert {p.status for p in instance.server.state.pipelines.values()} == {"pending", "waiting_for_resource"}


async def test_a_record_that_somebody_else_wrote_is_not_offered(
    instance: Instance, provider: GitLabProvider
) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    message = instance.project.repository.branches()[f"wsdash/{workspace().id}"].message
    record = replace(record_of(message), id="forged")
    made = [{"action": "create", "file_path": "x", "content": ""}]
    instance.project.repository.commit(
        "wsdash/forged", message_of(record), made, author="grace", start_branch="main"
    )
    inventory = await provider.inventory("work")
    assert [known.workspace.id for known in inventory.workspaces] == [workspace().id]
    assert (inventory.orphans, inventory.others) == ((), 1)


async def test_a_workspace_stays_on_its_volume_and_a_restart_there_writes_nothing(instance: Instance) -> None:
    instance.settings = replace(instance.settings, tags=("big",), volume="/first")
    before = instance.provider()
    await before.launch(workspace(), now(instance), WORKLOAD)
    await before.aclose()
    instance.settings = replace(instance.settings, tags=("other",), volume="/second")
    after = instance.provider()
    await after.observe()
    instance.server.forget()
    await after.launch(workspace(), now(instance, 2), WORKLOAD)
    assert not [asked for asked in instance.server.asked() if "commits" in asked]
    await after.launch(workspace(2), now(instance, 1), WORKLOAD)
    await after.aclose()
    for number, path, tag in ((1, "/first", "big"), (2, "/second", "other")):
        job = job_on(instance, f"wsdash/{workspace(number).id}")
        assert (job["variables"]["WSDASH_VOLUME"], job["tags"]) == (path, [tag])


async def test_a_place_that_somebody_else_wrote_into_the_record_is_not_gone_to(
    instance: Instance, provider: GitLabProvider
) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    branch = f"wsdash/{workspace().id}"
    record = record_of(instance.project.repository.branches()[branch].message)
    forged = message_of(replace(record, volume=Volume("/evil", ("evil",))))
    text = instance.project.repository.read(branch, ".gitlab-ci.yml") or ""
    change = [{"action": "update", "file_path": ".gitlab-ci.yml", "content": f"{text}\n"}]
    instance.project.repository.commit(branch, forged, change, author="grace")
    await provider.launch(workspace(), now(instance, 2), replace(WORKLOAD, image="debian"))
    job = job_on(instance, branch)
    assert (job["variables"]["WSDASH_VOLUME"], job.get("tags")) == ("", None)


def job_on(instance: Instance, branch: str) -> dict[str, Any]:
    """The job of the configuration that the branch holds."""
    text = instance.project.repository.read(branch, ".gitlab-ci.yml") or ""
    found: dict[str, Any] = list(yaml.safe_load_all(text))[-1]["workspace"]
    return found
