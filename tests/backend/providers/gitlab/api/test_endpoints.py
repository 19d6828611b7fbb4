"""Answers of the API become typed values; one of another shape is an error in words."""

from __future__ import annotations

from typing import Any, cast

import pytest

from wsdash.backend.providers.errors import Unreachable
from wsdash.backend.providers.gitlab.api.client import GitLabClient, Reply
from wsdash.backend.providers.gitlab.api.endpoints import PER_PAGE, GitLabApi
from wsdash.backend.providers.gitlab.api.errors import Forbidden, NotFound


class Client:
    """Answers from a list, and remembers paths and queries."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, str, dict[str, Any]]] = []

    async def call(self, method: str, path: str, **more: Any) -> Reply:  # noqa: ANN401
        self.calls.append((method, path, more))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        data, headers = answer if isinstance(answer, tuple) else (answer, {})
        return Reply(data, headers, 0.0, 0.0)

    async def graphql(self, query: str, variables: object, *, what: str) -> object:
        return self.answers.pop(0)


def api(*answers: object) -> tuple[GitLabApi, Client]:
    client = Client(*answers)
    return GitLabApi(cast(GitLabClient, client)), client


async def test_all_pages_are_read_and_the_last_one_ends_them() -> None:
    first = [{"key": f"V{number}"} for number in range(PER_PAGE)]
    asked, client = api((first, {"x-next-page": "2"}), ([{"key": "LAST"}], {"x-next-page": ""}))
    assert len(await asked.variable_names(7)) == PER_PAGE + 1
    assert [more["query"]["page"] for _, _, more in client.calls] == [1, 2]


@pytest.mark.parametrize("answer", [{"message": "hi"}, "text", None, [1], [{"name": "no id"}]])
async def test_an_answer_of_another_shape_is_said_to_be_one(answer: object) -> None:
    asked, _ = api(answer, answer)
    with pytest.raises(Unreachable, match="unknown shape"):
        await asked.own_projects()
    with pytest.raises(Unreachable, match="unknown shape"):
        await asked.user()


@pytest.mark.parametrize("error", [Forbidden("403", ""), NotFound("404", "")])
async def test_what_a_role_does_not_show_is_none_and_no_error(error: Exception) -> None:
    asked, _ = api(error, error, error)
    assert await asked.token() is None
    assert await asked.protected_branches(7) is None
    assert await asked.job_token_allowlist(7) is None


async def test_what_is_gone_already_needs_no_removal() -> None:
    gone = NotFound("404", "")
    asked, _ = api(gone, gone, gone, gone)
    await asked.delete_variable(7, "X")
    await asked.delete_package(7, 1)
    assert await asked.delete_branch(7, "wsdash/w1") is False
    assert await asked.file_exists(7, ".gitlab-ci.yml", "main") is False


async def test_names_are_escaped_in_addresses() -> None:
    asked, client = api({"id": 1, "path_with_namespace": "group/a b"}, {}, {})
    await asked.project("group/a b")
    await asked.delete_branch(7, "wsdash/w1?x#y")
    await asked.file_exists(7, "a/../b", "main")
    paths = [path for _, path, _ in client.calls]
    assert paths[0] == "/projects/group%2Fa%20b"
    assert paths[1].endswith("/branches/wsdash%2Fw1%3Fx%23y")
    assert paths[2].endswith("/files/a%2F..%2Fb")


async def test_only_packages_of_exactly_the_name_are_given() -> None:
    asked, _ = api([{"id": 1, "name": "wsdash-w1"}, {"id": 2, "name": "wsdash-w12"}])
    assert [package.id for package in await asked.packages(7, "wsdash-w1")] == [1]


async def test_pipelines_that_no_runner_takes_are_told_by_graphql() -> None:
    nodes = [
        {"stuck": True, "pipeline": {"id": "gid://gitlab/Ci::Pipeline/31"}},
        {"stuck": False, "pipeline": {"id": "gid://gitlab/Ci::Pipeline/32"}},
    ]
    asked, _ = api(
        {"project": {"jobs": {"nodes": nodes}}}, {"project": None}, {"project": {"jobs": {"nodes": [{}]}}}
    )
    assert await asked.stuck_pipelines("group/app") == {31}
    for _ in range(2):
        with pytest.raises(Unreachable, match="unknown shape"):
            await asked.stuck_pipelines("group/app")


async def test_a_page_of_pipelines_says_whether_there_are_more() -> None:
    one = {"id": 1, "status": "running"}
    asked, client = api([one], ([one], {"x-next-page": "2"}))
    assert (await asked.pipelines(7, ref="wsdash/w1")).is_whole
    assert not (await asked.pipelines(7)).is_whole
    assert client.calls[0][2]["query"]["ref"] == "wsdash/w1"
    assert "ref" not in client.calls[1][2]["query"]
