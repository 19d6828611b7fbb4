"""Launches: two requests to create, two to restart; a lost reply is found and not repeated; one rendering."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import yaml

from tests.backend.providers.contract import attempt, workspace
from tests.backend.providers.gitlab.harness import WORKLOAD, Instance, now
from tests.gitlab_server.faults import Fault
from tests.gitlab_server.state import Package
from wsdash.backend.job import render as job_render
from wsdash.backend.providers.errors import OwnershipLost, PermanentError, PreconditionFailed, Unreachable
from wsdash.backend.providers.gitlab.ci import config
from wsdash.backend.providers.gitlab.ci.pipeline_name import parse
from wsdash.backend.providers.gitlab.provider import GitLabProvider
from wsdash.workload import EnvVar, Workload

SCRIPTS, JOBS, DOCUMENTS = "the shell", "the job", "the document"


@pytest.fixture
def renders(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The number of times that each part of a configuration was made. A header and a body are a document each."""
    counts: Counter[str] = Counter()

    def count(module: Any, name: str, what: str) -> None:  # noqa: ANN401
        function = getattr(module, name)

        def counted(*args: Any) -> Any:  # noqa: ANN401
            counts[what] += 1
            return function(*args)

        monkeypatch.setattr(module, name, counted)

    count(job_render, "render", SCRIPTS)
    count(config, "_job", JOBS)
    count(config, "yaml_of", DOCUMENTS)
    return counts


@pytest.mark.parametrize(
    "workload, documents",
    [(Workload(image="alpine"), 2), (Workload(env=(EnvVar("VALUE", "$[[ inputs.attempt ]]"),)), 1)],
    ids=["with inputs", "without inputs"],
)
async def test_a_launch_renders_once(
    instance: Instance, renders: Counter[str], workload: Workload, documents: int
) -> None:
    provider = instance.provider()
    for number in (1, 2):
        renders.clear()
        launched = replace(attempt(number), intended_at=instance.clock())
        await provider.launch(workspace(), launched, workload)
        assert renders == {SCRIPTS: 1, JOBS: 1, DOCUMENTS: documents}
    await provider.aclose()


async def test_a_process_that_has_not_looked_yet_renders_once_too(
    instance: Instance, renders: Counter[str]
) -> None:
    provider, other = instance.provider(), instance.provider()
    await provider.launch(workspace(), replace(attempt(), intended_at=instance.clock()), Workload())
    renders.clear()
    await other.launch(workspace(), replace(attempt(2), intended_at=instance.clock()), Workload())
    assert renders == {SCRIPTS: 1, JOBS: 1, DOCUMENTS: 2}
    await provider.aclose()
    await other.aclose()


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
    """The requests of a restart: for the commit at the head, and for a pipeline of it."""
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


async def test_no_push_starts_a_pipeline(instance: Instance, provider: GitLabProvider) -> None:
    await provider.launch(workspace(), now(instance), WORKLOAD)
    assert {p.source for p in instance.server.state.pipelines.values()} == {"api"}


async def test_a_configuration_from_elsewhere_is_refused_before_anything_is_made(instance: Instance) -> None:
    instance.project.ci_config_path = "ci.yml@group/other"
    provider = instance.provider()
    with pytest.raises(PreconditionFailed, match="reads its CI configuration from elsewhere"):
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


async def test_what_can_be_no_job_is_refused_for_good(instance: Instance, provider: GitLabProvider) -> None:
    huge = replace(WORKLOAD, env=(EnvVar("HUGE", "x" * 200_000),))
    with pytest.raises(PermanentError, match="HUGE takes 2000"):
        await provider.launch(workspace(), now(instance), huge)


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


def job_on(instance: Instance, branch: str) -> dict[str, Any]:
    """The job of the configuration that the branch holds."""
    text = instance.project.repository.read(branch, ".gitlab-ci.yml") or ""
    found: dict[str, Any] = list(yaml.safe_load_all(text))[-1]["workspace"]
    return found


@pytest.mark.parametrize("deposits", [False, True])
async def test_a_workspace_whose_pipelines_gitlab_has_removed_loses_nothing(
    instance: Instance, deposits: bool
) -> None:
    instance.settings = replace(instance.settings, deposits=deposits)
    provider = instance.provider()
    await provider.launch(workspace(), now(instance), WORKLOAD)
    (variables,) = launched(instance)
    assert variables["WSDASH_RESTORE_FROM"] == "no", "there was no job before"

    def remove() -> None:
        instance.server.state.pipelines.clear()
        instance.server.state.jobs.clear()
        for version in ("1.9", "1.10", "nonsense"):
            package = Package(instance.server.state.new_id(), f"wsdash-{workspace().id}", version)
            instance.project.packages.append(package)

    instance.server.do(remove)
    again = instance.provider()
    await again.observe()
    await again.launch(workspace(), now(instance, 2), WORKLOAD)
    (variables,) = launched(instance)
    assert variables["WSDASH_RESTORE_FROM"] == "yes"
    assert variables["WSDASH_CHECKPOINT"] == ("registry:1.10" if deposits else "none")


def launched(instance: Instance) -> list[dict[str, str]]:
    """The variables of the jobs that GitLab has."""
    return [job.config["variables"] for job in instance.server.state.jobs.values()]
