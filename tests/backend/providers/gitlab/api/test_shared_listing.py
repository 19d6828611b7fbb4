"""Contexts of one GitLab share a list of all projects, where GitLab has it; and nothing is missed by that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from tests.backend.providers.contract import attempt, workspace
from tests.backend.providers.gitlab.harness import Instance
from wsdash.backend.providers.gitlab.api.shared_listing import SharedListing
from wsdash.backend.providers.gitlab.observe.poller import CALM_S
from wsdash.backend.providers.gitlab.provider import GitLabProvider
from wsdash.model import JobState
from wsdash.workload import Workload


@dataclass
class Clock:
    """The instance's, and what was added to it."""

    instance: Instance
    ahead: float = 0.0

    def __call__(self) -> float:
        return self.instance.clock() + self.ahead


@dataclass
class Pair:
    """Two contexts of one user, each with a project of its own and one workspace."""

    instance: Instance
    clock: Clock
    providers: list[GitLabProvider]

    async def requests(self) -> list[str]:
        """The requests of a poll of both contexts."""
        self.instance.server.forget()
        for provider in self.providers:
            look = await provider.observe()
            assert len(look.jobs) == 1
        return [asked for asked in self.instance.server.asked() if "/jobs" not in asked]


@pytest.fixture
async def pair(instance: Instance) -> AsyncIterator[Pair]:
    other = instance.server.add_project("group/other", owners=[instance.user])
    clock = Clock(instance)
    shared = SharedListing(clock)
    providers = []
    for number, path in enumerate((instance.project.path, other.path), 1):
        settings = replace(instance.settings, project=path)
        provider = GitLabProvider(
            settings,
            instance.api(),
            host="here",
            owner="0a0a0a0a",
            clock=clock,
            shared=shared,
            files_folder=instance.folder,
            cache_key_file=instance.folder / "cache.key",
        )
        mine = replace(workspace(), id=f"w{number}", name=f"w{number}")
        launched = replace(attempt(1, mine), intended_at=clock())
        await provider.launch(mine, launched, Workload(image="alpine"))
        await provider.observe()
        providers.append(provider)
    clock.ahead += CALM_S + 1
    yield Pair(instance, clock, providers)
    for provider in providers:
        await provider.aclose()


async def test_a_calm_look_at_two_projects_is_one_request(pair: Pair) -> None:
    assert await pair.requests() == ["GET /pipelines"]
    pair.clock.ahead += 5
    assert await pair.requests() == []
    pair.clock.ahead += 15
    assert await pair.requests() == ["GET /pipelines"]


async def test_an_end_is_seen_by_the_next_look_that_asks(pair: Pair) -> None:
    await pair.requests()
    (job, *_) = pair.instance.server.state.jobs.values()
    pair.instance.server.do(lambda: pair.instance.server.state.finish(job, "canceled", None))
    pair.clock.ahead += 15
    (seen,) = (await pair.providers[0].observe()).jobs
    assert seen.state is JobState.ENDED


async def test_an_older_gitlab_is_asked_by_project(pair: Pair) -> None:
    pair.instance.server.state.version = "19.2.0"
    for provider in pair.providers:
        provider._project._info = None
    asked = await pair.requests()
    assert [line for line in asked if line == "GET /pipelines"] == []
    assert len([line for line in asked if line.endswith("/pipelines")]) == 2


async def test_a_gitlab_that_has_no_such_list_after_all_is_asked_by_project(pair: Pair) -> None:
    pair.instance.server.state.version = "19.2.0"  # the answer is 404, though its version said otherwise
    asked = await pair.requests()
    assert asked.count("GET /pipelines") == 1
    assert len([line for line in asked if line.startswith("GET /projects/")]) == 2
    pair.clock.ahead += 15
    assert "GET /pipelines" not in await pair.requests()


async def test_what_is_not_among_the_newest_hundred_is_asked_for_by_project(pair: Pair) -> None:
    state = pair.instance.server.state

    def add() -> None:
        for number in range(101):
            state.add_pipeline(
                pair.instance.project, f"other/{number}", "0" * 40, pair.instance.user, "x", {}
            )

    pair.instance.server.do(add)
    asked = await pair.requests()
    assert len([line for line in asked if line.startswith("GET /projects/")]) >= 2
