"""Polling one context: its own rows alone, jobs that the store does not know, and silence that is our own fault."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.backend.builders import NOW, attempt, job, workspace
from tests.simulation.world import Job, Provider
from wsdash.backend.reconcile.context_poller import ContextPoller
from wsdash.backend.store import database
from wsdash.backend.store.fenced_store import FencedStore
from wsdash.backend.store.reader import Reader
from wsdash.backend.store.store import Store
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.backend.system.runtime import Runtime
from wsdash.model import Attempt, JobState, Workspace
from wsdash.paths import Paths
from wsdash.workload import Workload


@dataclass
class Polled:
    """A store with one workspace in the context `local`, and the poller of that context."""

    paths: Paths
    store: Store
    fenced: FencedStore
    provider: Provider
    poller: ContextPoller
    observed: list[dict[str, list[Attempt]]]
    """The attempts by workspace, once for each poll."""

    async def launch(self, one: Attempt) -> None:
        """Put the attempt on record, with its job at the provider."""
        await self.fenced.record_intent(one, "wanted running", {})
        await self.fenced.record_launch(one, job(one), NOW)
        self.provider.jobs[one.id] = Job(one.id, one.workspace_id, one.number, one.generation, NOW)

    def kinds(self, workspace_id: str) -> list[str]:
        """Its events, oldest first."""
        reader = Reader(self.paths)
        try:
            return [event.kind for event in reversed(reader.events(workspace_id))]
        finally:
            reader.close()


@pytest.fixture
async def polled(tmp_path: Path) -> AsyncIterator[Polled]:
    paths = Paths(tmp_path / "state", tmp_path / "config", tmp_path / "cache")
    database.prepare(paths)
    async with Store.open(paths) as store:
        await store.create_workspace(workspace(), Workload(), "created")
        fenced = await FencedStore.acquire(store, "daemon", ProcessIdentity.own(), 0.0)
        assert fenced is not None
        provider = Provider(now=NOW)

        def clock() -> float:
            return provider.now

        runtime = Runtime(clock, clock, lambda: 0.5, lambda: "new")
        observed: list[dict[str, list[Attempt]]] = []

        def on_observed(
            _: ContextPoller, __: Mapping[str, Workspace], attempts: Mapping[str, Sequence[Attempt]]
        ) -> None:
            observed.append({workspace_id: list(found) for workspace_id, found in attempts.items()})

        poller = ContextPoller("local", provider, fenced, on_observed, runtime)
        yield Polled(paths, store, fenced, provider, poller, observed)


async def other_context(polled: Polled) -> Attempt:
    """An attempt of a workspace in another context, in the same project."""
    await polled.store.create_workspace(
        replace(workspace(), id="w2", name="other", context="elsewhere"), Workload(), "created"
    )
    one = replace(attempt(2, launched=None), workspace_id="w2")
    await polled.launch(one)
    return one


@pytest.mark.parametrize("step", [-7200.0, 7200.0])
async def test_after_this_machines_clock_was_set_heartbeats_get_time_to_arrive_again(
    polled: Polled, step: float
) -> None:
    boot = [0.0]
    polled.poller._runtime = replace(polled.poller._runtime, boot_clock=lambda: boot[0])
    for seconds in (5.0, 5.0, 5.0 + step, 5.0):
        await polled.poller.poll()
        boot[0] += 5.0
        polled.provider.now += seconds
    await polled.poller.poll()
    found = polled.poller.observation
    assert found is not None and found.at - found.watching_since == 5.0


async def test_a_poll_reads_only_its_own_contexts_rows(polled: Polled) -> None:
    await polled.launch(attempt(launched=None))
    other = await other_context(polled)
    del polled.provider.jobs[other.id]
    connection = database.connect(polled.paths.database)
    connection.execute("UPDATE workspace SET policy = 'unreadable' WHERE id = 'w2'")
    connection.execute("UPDATE attempt SET last_observation = 'unreadable' WHERE workspace_id = 'w2'")
    connection.close()
    await polled.poller.poll()
    (attempts,) = polled.observed
    assert [found.number for found in attempts["w1"]] == [1]
    assert set(attempts) == {"w1"}


async def test_what_a_poll_finds_out_of_a_job_is_decided_on_at_once_and_not_at_the_next_poll(
    polled: Polled,
) -> None:
    one = attempt(launched=None)
    await polled.launch(one)
    polled.provider.jobs[one.id].state = JobState.LOST
    await polled.poller.poll()
    (attempts,) = polled.observed
    assert [found.last_observation and found.last_observation.state for found in attempts["w1"]] == [
        JobState.LOST
    ]
    assert attempts["w1"] == await polled.fenced.attempts("w1")


async def test_a_job_of_another_contexts_workspace_is_left_to_that_context(polled: Polled) -> None:
    await other_context(polled)
    await polled.poller.poll()
    assert polled.kinds("w2") == ["created", "launch"]


async def test_a_job_that_is_not_on_record_is_adopted_at_once(polled: Polled) -> None:
    polled.provider.jobs["lost"] = Job("lost", "w1", 4, 1, NOW)
    await polled.poller.poll()
    (attempts,) = polled.observed
    assert [found.id for found in attempts["w1"]] == ["lost"]
    assert "adopt" in polled.kinds("w1")


async def test_a_job_of_an_unknown_workspace_is_left_alone_and_named_once(
    polled: Polled, caplog: pytest.LogCaptureFixture
) -> None:
    polled.provider.jobs["strange"] = Job("strange", "unknown", 1, 1, NOW)
    with caplog.at_level(logging.WARNING):
        await polled.poller.poll()
        await polled.poller.poll()
    assert len([r for r in caplog.records if "belongs to no workspace" in r.getMessage()]) == 1
    assert polled.provider.live("unknown")


async def test_silence_counts_only_from_when_the_provider_was_observed_without_a_gap(polled: Polled) -> None:
    poller, provider = polled.poller, polled.provider

    async def watching_since() -> float:
        provider.now += 1.0
        await poller.poll()
        assert poller.observation is not None
        return poller.observation.watching_since

    begun = await watching_since()
    assert await watching_since() == begun
    provider.is_reachable = False
    await watching_since()
    provider.is_reachable = True
    again = await watching_since()
    assert again == provider.now
    poller.mark_unreliable()
    assert await watching_since() == again
    provider.now += 10 * provider.poll_intervals.steady_s
    assert await watching_since() == provider.now
