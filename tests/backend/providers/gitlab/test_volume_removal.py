"""A folder on a runner's volume goes by a job there; what no job could remove is named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from wsdash.backend.providers.errors import InProgress
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import NotFound
from wsdash.backend.providers.gitlab.api.models import Listing, Pipeline
from wsdash.backend.providers.gitlab.api.project import CurrentProject
from wsdash.backend.providers.gitlab.ci.record import Record, Volume, message_of
from wsdash.backend.providers.gitlab.ci.removal_config import removal_name
from wsdash.backend.providers.gitlab.volume_removal import STUCK_S, TRIES, VolumeRemoval
from wsdash.model import Policy
from wsdash.workload import Workload

VOLUME = Volume("/wsdash", ("big",))
NOW = 1_700_000_000.0


class Api:
    """A branch with its record, and pipelines."""

    def __init__(self, volume: Volume | None = VOLUME, *pipelines: Pipeline) -> None:
        record = Record(
            "w1", "web", None, None, None, Policy(), 0.0, "ada", "here", "s1", Workload(), volume, "alpine"
        )
        self.message: str | None = message_of(record)
        self.found = list(pipelines)
        self.started_jobs: set[int] = set()
        self.stuck: set[int] = set()
        self.cancelled: list[int] = []

    async def branch(self, project: int, name: str) -> Any:  # noqa: ANN401
        assert name == "wsdash/w1"
        if self.message is None:
            raise NotFound("404", "")
        return SimpleNamespace(commit=SimpleNamespace(message=self.message))

    async def pipelines(self, project: int, *, ref: str, page: int) -> Listing[Pipeline]:
        return Listing[Pipeline](items=self.found, at=NOW, skew=0.0, is_whole=True)

    async def jobs(self, project: int, pipeline: int) -> list[Any]:
        return [SimpleNamespace(started_at=1.0 if pipeline in self.started_jobs else None)]

    async def stuck_pipelines(self, path: str) -> frozenset[int]:
        return frozenset(self.stuck)

    async def cancel_pipeline(self, project: int, pipeline: int) -> None:
        self.cancelled.append(pipeline)


def pipeline(number: int, status: str, *, removes: bool = True, created_at: float = NOW - 10) -> Pipeline:
    name = removal_name("w1") if removes else "something else"
    return Pipeline.model_construct(id=number, status=status, name=name, created_at=created_at)


async def removed(api: Api) -> tuple[str | None, list[str]]:
    """The answer, and the configurations that were started."""
    started: list[str] = []

    async def start(config: str, message: str) -> Pipeline:
        assert message == api.message
        started.append(config)
        return pipeline(99, "created")

    async def info() -> Any:  # noqa: ANN401
        return SimpleNamespace(id=7, path="group/app")

    project = cast(CurrentProject, SimpleNamespace(info=info))
    removal = VolumeRemoval(cast(GitLabApi, api), project, lambda: NOW)
    try:
        return await removal.remove("w1", start), started
    except InProgress as error:
        return f"in progress: {error}", started


RAN = pipeline(1, "success", removes=False)


@pytest.mark.parametrize(
    "api",
    [
        Api(None, RAN),
        Api(VOLUME),
        Api(VOLUME, RAN),
        Api(VOLUME, pipeline(2, "success"), pipeline(1, "failed")),
    ],
    ids=["no volume", "no pipeline", "no job of it ever ran", "it is removed"],
)
async def test_where_nothing_is_left_no_job_is_started(api: Api) -> None:
    assert await removed(api) == (None, [])


async def test_without_a_branch_or_with_a_message_of_others_nothing_is_known_to_be_left() -> None:
    for message in (None, "Merge branch x"):
        api = Api(VOLUME, RAN)
        api.message = message
        assert await removed(api) == (None, [])


async def test_a_job_is_started_where_a_job_of_the_workspace_ran_and_again_after_a_failure() -> None:
    api = Api(VOLUME, RAN)
    api.started_jobs = {1}
    for tried in range(TRIES):
        answer, (config,) = await removed(api)
        assert answer is not None and answer.startswith("in progress") and "folder from /wsdash" in answer
        assert "w1" in config and "big" in config
        api.found.append(pipeline(10 + tried, "failed"))
    answer, started = await removed(api)
    assert answer is not None and "/wsdash/w1 stays on the runner with the tags big" in answer
    assert started == []


@pytest.mark.parametrize(
    ("created_at", "is_stuck", "gives_up"),
    [(NOW - 10, True, False), (NOW - STUCK_S, False, False), (NOW - STUCK_S, True, True)],
)
async def test_a_job_that_no_runner_takes_is_given_up_after_a_while(
    created_at: float, is_stuck: bool, gives_up: bool
) -> None:
    api = Api(VOLUME, pipeline(5, "pending", created_at=created_at))
    api.stuck = {5} if is_stuck else set()
    answer, started = await removed(api)
    assert answer is not None
    assert ("stays on the runner" in answer) is gives_up
    assert started == []
    assert api.cancelled == ([5] if gives_up else [])
