"""The invariants of design section 4 under crashes at every line, lost replies and unplugged networks."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation.world import Provider, World
from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.store.reader import Reader
from wsdash.model import Attempt, Cause, Desired, JobState, Phase, Status
from wsdash.paths import Paths

faults = st.one_of(
    st.tuples(st.just("kill the reconciler"), st.integers(0, 25)),
    st.tuples(st.just("kill the job"), st.sampled_from([Cause.USER_CODE, Cause.RUNNER_LOST])),
    st.tuples(st.just("unplug"), st.booleans()),
    st.tuples(st.just("lose replies"), st.booleans()),
    st.tuples(st.just("lose the supervisor"), st.none()),
    st.tuples(st.just("stop obeying"), st.none()),
    st.tuples(st.just("pass time"), st.sampled_from([0.0, 3.0, 40.0, 100.0])),
    st.tuples(st.just("want"), st.sampled_from(["start", "stop", "restart"])),
    st.tuples(st.just("act on old news"), st.integers(1, 3)),
)


IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""The folder of this file's stores: the invariants do not depend on the disk."""


async def play(world: World, script: list[tuple[str, object]]) -> tuple[str, Desired]:
    """Act out the faults, a look after each, and return the workspace with the last acknowledged command."""
    workspace_id = await world.create("demo")
    wanted = Desired.RUNNING
    for what, how in script:
        jobs = world.provider.live(workspace_id)
        match what, how:
            case "kill the reconciler", int():
                world.provider.fuse.left = how
            case "kill the job", Cause():
                for job in jobs:
                    world.provider.end(job, how)
            case "unplug", bool():
                world.provider.is_reachable = not how
            case "lose replies", bool():
                world.provider.drop_replies = how
            case "lose the supervisor", _:
                for job in jobs:
                    job.state = JobState.LOST
            case "stop obeying", _:
                for job in jobs:
                    job.obeys = False
            case "pass time", float():
                await world.tick(how)
            case "act on old news", int():
                await world.step(workspace_id, how)
            case "want", str():
                fuse, world.provider.fuse.left = world.provider.fuse.left, None
                wanted = Desired.STOPPED if how == "stop" else Desired.RUNNING
                await world.want(workspace_id, wanted, new_generation=how == "restart")
                world.provider.fuse.left = fuse
                continue  # the next thing happens before anybody has looked
        await world.tick()
    return workspace_id, wanted


@given(st.lists(faults, max_size=25))
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_when_the_faults_end_what_was_wanted_is_so(script: list[tuple[str, object]]) -> None:
    async def story() -> None:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
            async with World.open(Path(folder)) as world:
                workspace_id, wanted = await play(world, script)
                # A user's restart clears an episode, so that the start limit does not decide this test.
                await world.settle()
                if wanted is Desired.RUNNING:
                    await world.want(workspace_id, wanted, new_generation=True)
                    await world.settle()
                live = world.provider.live(workspace_id)
                assert len(live) == (1 if wanted is Desired.RUNNING else 0), "I1, I2, I3, I4"
                attempts = await world.store.attempts(workspace_id)
                assert [a.id for a in attempts if a.is_live] == [job.attempt_id for job in live]
                assert set(world.provider.jobs) <= {a.id for a in attempts}, "a job without an intent"
                assert {job.attempt_id for job in live} <= world.provider.prepared, (
                    "a job that was half launched"
                )

    asyncio.run(story())


@given(st.lists(faults, max_size=15))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_after_delete_nothing_is_left_at_the_provider(script: list[tuple[str, object]]) -> None:
    async def story() -> None:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
            async with World.open(Path(folder)) as world:
                workspace_id, _ = await play(world, script)
                world.provider.fuse.left = None
                await world.want(workspace_id, Desired.DELETED)
                for what, how in script:
                    if what == "kill the reconciler":
                        assert isinstance(how, int)
                        world.provider.fuse.left = how
                        await world.tick()
                await world.settle()
                assert not world.provider.jobs and not world.provider.volumes, "I6"
                assert (await world.store.workspace(workspace_id)).deleted_at is not None

    asyncio.run(story())


def test_killed_at_every_single_call_of_a_launch_it_still_ends_with_one_job() -> None:
    async def killed_at(call: int) -> bool:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
            async with World.open(Path(folder)) as world:
                workspace_id = await world.create("demo")
                world.provider.fuse.left = call
                await world.tick()
                was_killed = world.kills == 1
                await world.settle()
                assert len(world.provider.live(workspace_id)) == 1
                assert world.provider.launches == 1, "the same key, not a second job"
                return was_killed

    calls = 0
    while asyncio.run(killed_at(calls)):
        calls += 1
    assert calls >= 8, "lease, look, intent, launch and answer, before and after each"


def test_one_job_that_cannot_be_ended_blinds_nobody_to_the_others(tmp_path: Path) -> None:
    class Stubborn(Provider):
        async def force_cancel(self, attempt: Attempt) -> None:
            raise ProviderError("the job cannot be ended")

    async def story() -> None:
        async with World.open(tmp_path) as world:
            gone, kept = await world.create("gone"), await world.create("kept")
            await world.settle()
            (returned,) = world.provider.live(gone)
            await world.want(gone, Desired.DELETED)
            await world.settle()
            stubborn = Stubborn(now=world.provider.now, jobs=world.provider.jobs)
            stubborn.jobs[returned.attempt_id] = replace(returned, state=JobState.RUNNING)
            world.provider, world.reconciler = stubborn, None
            (job,) = world.provider.live(kept)
            world.provider.end(job, Cause.USER_CODE)
            await world.settle()
            assert [job.number for job in world.provider.live(kept)] == [2]

    asyncio.run(story())


async def test_a_job_whose_launcher_died_before_the_answer_gets_the_rest_of_the_launch(
    tmp_path: Path,
) -> None:
    async with World.open(tmp_path) as world:
        await world.tick()
        workspace_id = await world.create("demo")
        world.provider.drop_replies = True
        await world.step(workspace_id, 1)
        (job,) = world.provider.live(workspace_id)
        assert job.attempt_id not in world.provider.prepared
        world.reconciler = None
        await world.settle()
        assert world.provider.live(workspace_id) == [job]
        assert job.attempt_id in world.provider.prepared


def test_a_withdrawn_launch_whose_job_lives_is_not_taken_for_ended(tmp_path: Path) -> None:
    async def story() -> None:
        async with World.open(tmp_path) as world:
            await world.tick()
            workspace_id = await world.create("demo")
            world.provider.drop_replies = True
            await world.step(workspace_id, 1)
            (job,) = world.provider.live(workspace_id)
            job.obeys = False
            world.provider.drop_replies = False
            for wanted in (Desired.STOPPED, Desired.RUNNING):
                await world.want(workspace_id, wanted, new_generation=True)
                await world.step(workspace_id, 3)
            assert world.provider.live(workspace_id) == [job], "no second job before the first has ended"
            await world.settle()
            assert len(world.provider.live(workspace_id)) == 1

    asyncio.run(story())


@given(st.lists(faults.filter(lambda fault: fault[0] != "kill the reconciler"), min_size=1, max_size=12))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_plan_is_what_is_then_done(script: list[tuple[str, object]]) -> None:
    async def story() -> None:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
            home = Path(folder)
            async with World.open(home) as world:
                workspace_id, _ = await play(world, script)
                await world.tick()
                reader = Reader(Paths(home / "state", home / "config", home / "cache"))
                for _ in range(6):
                    assert world.reconciler is not None
                    (planned,) = reader.plan(world.provider.now)
                    done = await world.reconciler.step(workspace_id)
                    assert type(planned.decision) is type(done)
                    assert planned.decision.reason == done.reason
                    await world.reconciler.poll("memory")
                    world.provider.now += 3.0
                reader.close()

    asyncio.run(story())


async def test_a_launch_that_is_blocked_waits_with_the_reason_and_goes_on_by_itself(tmp_path: Path) -> None:
    async with World.open(tmp_path) as world:
        world.provider.blocked = "the token has expired"
        workspace_id = await world.create("demo")
        await world.tick()
        status = await status_of(world, workspace_id)
        assert (status.phase, status.reason) == (Phase.PENDING, "the token has expired.")
        world.provider.blocked = ""
        await world.settle()
        assert len(world.provider.live(workspace_id)) == 1
        (attempt,) = await world.store.attempts(workspace_id)
        assert attempt.last_error is None


async def test_silence_while_the_provider_carries_nothing_out_kills_no_job(tmp_path: Path) -> None:
    async with World.open(tmp_path) as world:
        workspace_id = await world.create("demo")
        await world.tick()
        (job,) = world.provider.live(workspace_id)
        world.provider.is_silent = world.provider.refuses_acts = True
        for _ in range(20):
            await world.tick(10.0)
        world.provider.is_silent = world.provider.refuses_acts = False
        await world.settle()
        assert world.provider.live(workspace_id) == [job]
        kinds = [event.kind for event in world.reader.events(workspace_id)]
        assert "cancel-withdrawn" in kinds


async def status_of(world: World, workspace_id: str) -> Status:
    return world.reader.detail(workspace_id, world.provider.now).row.status
