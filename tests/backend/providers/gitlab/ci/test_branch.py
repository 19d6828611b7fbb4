"""Nothing that somebody else has put on a workspace's branch ever runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from tests.backend.providers.contract import workspace
from tests.backend.providers.gitlab.harness import WORKLOAD, Instance, now
from tests.gitlab_server.faults import Fault
from tests.waiting import until
from wsdash.backend.providers.errors import PreconditionFailed
from wsdash.backend.providers.gitlab.ci.record import Volume, message_of, record_of
from wsdash.backend.providers.gitlab.provider import GitLabProvider


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
    with pytest.raises(PreconditionFailed, match=r"another user has changed the branch .* no part of it ran"):
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
        with pytest.raises(PreconditionFailed, match=r"another user has changed the branch .* is cancelled"):
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
