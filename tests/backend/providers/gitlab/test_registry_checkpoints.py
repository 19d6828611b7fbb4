"""Checkpoints in the project: the newest that a job has reported, and the removal of older ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import Forbidden
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat
from wsdash.backend.providers.gitlab.registry_checkpoints import RemoteCheckpoint, newest, prune


def beat(remote: str, workspace_id: str = "w1") -> Heartbeat:
    return Heartbeat(workspace_id, "a1", 1, 0, facts={"remote": remote})


def test_the_newest_of_the_workspace_counts_wherever_it_is() -> None:
    beats = [beat("registry:3.7"), beat("branch:3.10"), beat("registry:2.99"), beat("registry:9.9", "w2")]
    found = newest(beats, "w1")
    assert str(found) == "branch:3.10"


@pytest.mark.parametrize("text", ["", "registry", "registry:", "disk:1.1", "registry:a.b", "registry:../x"])
def test_a_report_of_a_job_that_is_no_checkpoint_is_ignored(text: str) -> None:
    assert newest([beat(text)], "w1") is None
    with pytest.raises(ValueError):
        RemoteCheckpoint.of(text)


class Api:
    """The packages of a project, by version."""

    def __init__(self, *versions: str, refuses: bool = False) -> None:
        self.packages_there = dict(enumerate(versions))
        self.branches: list[str] = []
        self.refuses = refuses

    async def packages(self, project: int, name: str) -> list[Any]:
        assert name == "wsdash-w1"
        return [
            SimpleNamespace(id=number, version=version) for number, version in self.packages_there.items()
        ]

    async def delete_package(self, project: int, package: int) -> None:
        if self.refuses:
            raise Forbidden("no", "")
        del self.packages_there[package]

    async def delete_branch(self, project: int, name: str) -> bool:
        self.branches.append(name)
        return True


async def pruned(api: Api, keep: str | None) -> list[str]:
    await prune(cast(GitLabApi, api), 1, "w1", RemoteCheckpoint.of(keep) if keep else None)
    return list(api.packages_there.values())


async def test_older_ones_go_and_newer_ones_and_what_is_no_checkpoint_stay() -> None:
    api = Api("1.1", "3.7", "3.8", "by-hand")
    assert await pruned(api, "registry:3.7") == ["3.7", "3.8", "by-hand"]
    assert api.branches == []


async def test_of_a_deleted_workspace_all_goes_with_the_branch() -> None:
    api = Api("1.1", "by-hand")
    assert await pruned(api, None) == []
    assert api.branches == ["wsdash-checkpoints/w1"]


async def test_a_developer_who_may_not_remove_packages_leaves_them() -> None:
    assert await pruned(Api("1.1", refuses=True), None) == ["1.1"]
