"""A project is looked at before its first job, once, and refused where no job of ours could run."""

from __future__ import annotations

from typing import Any, cast

import pytest

from wsdash.backend.providers.errors import PreconditionFailed
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.models import Project, User, Version
from wsdash.backend.providers.gitlab.api.project import (
    USUAL_TIMEOUT_S,
    CurrentProject,
    ProjectInfo,
    find_project,
)


class Api:
    """One project, on an instance of some version."""

    def __init__(self, version: str = "19.4.0-ee", *, has_config: bool = True, **changes: Any) -> None:  # noqa: ANN401
        self.found = Project(id=7, path_with_namespace="group/app", default_branch="main").model_copy(
            update=changes
        )
        self.number = version
        self.has_config = has_config
        self.asked: list[str] = []

    async def project(self, path: str) -> Project:
        self.asked.append(path)
        return self.found

    async def user(self) -> User:
        return User(id=1, username="ada")

    async def version(self) -> Version:
        return Version(version=self.number)

    async def file_exists(self, project: int, path: str, ref: str) -> bool:
        self.asked.append(f"{path}@{ref}")
        return self.has_config


async def info(api: Api) -> ProjectInfo:
    return await find_project(cast(GitLabApi, api), "group/app")


async def test_a_usual_project() -> None:
    found = await info(Api(build_timeout=600))
    assert (found.username, found.config_path, found.has_config) == ("ada", ".gitlab-ci.yml", True)
    assert found.timeout_s == 600
    assert (await info(Api())).timeout_s == USUAL_TIMEOUT_S


@pytest.mark.parametrize(
    ("version", "able"),
    [
        ("15.6.9", (False, False, False)),
        ("15.7.0", (False, False, True)),
        ("18.0.9-ee", (False, False, True)),
        ("18.1.0", (True, False, True)),
        ("19.3.0-pre", (True, True, True)),
        ("unknown", (False, False, False)),
    ],
)
async def test_the_version_tells_what_the_instance_is_able_to(version: str, able: tuple[bool, ...]) -> None:
    found = await info(Api(version))
    assert (found.takes_inputs, found.lists_all_projects, found.has_id_tokens) == able


@pytest.mark.parametrize("path", ["ci.yml@group/other", "https://host/ci.yml"])
async def test_a_configuration_from_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(PreconditionFailed, match="from elsewhere") as refused:
        await info(Api(ci_config_path=path))
    assert "placement own" in refused.value.hint


async def test_an_archived_project_is_refused() -> None:
    with pytest.raises(PreconditionFailed, match="is archived"):
        await info(Api(archived=True))


@pytest.mark.parametrize("changes", [{"empty_repo": True}, {"default_branch": None}])
async def test_an_empty_repository_has_no_branch_and_no_configuration(changes: dict[str, Any]) -> None:
    api = Api(**changes)
    found = await info(api)
    assert (found.default_branch, found.has_config) == (None, False)
    assert api.asked == ["group/app"]


async def test_the_project_of_a_context_is_asked_for_once() -> None:
    api = Api()
    current = CurrentProject(cast(GitLabApi, api), "group/app")
    assert await current.info() == await current.info()
    assert api.asked.count("group/app") == 1
