"""Every failure of a GitLab is a sentence, which says what to do; nothing is repeated, and no token is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backend.providers.gitlab.certificates import Authority
from tests.backend.providers.gitlab.harness import Instance
from tests.backend.providers.gitlab.proxy import forwarding
from tests.gitlab_server import GitLabServer
from tests.gitlab_server.faults import Fault
from wsdash.backend.providers.errors import PreconditionFailed, ProviderError, Unreachable
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import (
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    TokenRefused,
)
from wsdash.backend.providers.gitlab.factory import gitlab_api
from wsdash.paths import Paths


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Fault.TOKEN_EXPIRED, TokenRefused, "expired"),
        (Fault.TOKEN_REVOKED, TokenRefused, "revoked"),
        (Fault.INSUFFICIENT_SCOPE, Forbidden, "scope api"),
        (Fault.ROLE_TOO_LOW, Forbidden, "role Developer"),
        (Fault.ARCHIVED, Forbidden, "unarchived"),
        (Fault.NOT_FOUND, NotFound, "moved or deleted"),
        (Fault.TOO_MANY_REQUESTS, RateLimited, "retries automatically"),
        (Fault.APPLICATION_LIMIT, RateLimited, "retries automatically"),
        (Fault.PIPELINE_LIMIT, RateLimited, "retries automatically"),
        (Fault.MAINTENANCE, Unreachable, "maintained"),
        (Fault.SERVER_ERROR, Unreachable, "status 500"),
        (Fault.BAD_GATEWAY, Unreachable, "status 502"),
        (Fault.WEB_PAGE, Unreachable, "web page"),
        (Fault.TRUNCATED, Unreachable, "incomplete"),
        (Fault.CLOSED, Unreachable, "connection"),
    ],
)
async def test_each_fault_is_told_with_what_to_do_and_is_over_when_it_is_over(
    instance: Instance, api: GitLabApi, fault: Fault, kind: type[ProviderError], words: str
) -> None:
    switched = instance.server.faults.add(fault, path="/user$", retry_after=1)
    with pytest.raises(kind) as caught:
        await api.user()
    output = f"{caught.value.message}. {caught.value.hint}"
    assert "your user" in output and words in output
    assert instance.token not in repr(caught.value) + output
    instance.server.faults.remove(switched)
    if kind is not RateLimited:
        assert (await api.user()).username == "ada"


async def test_a_moved_project_is_found_where_it_went(instance: Instance, api: GitLabApi) -> None:
    instance.server.add_project("group/new", owners=[instance.user])
    instance.project.moved_to = "group/new"
    assert (await api.project("group/app")).path_with_namespace == "group/new"


async def test_nothing_that_changes_something_is_asked_twice(instance: Instance, api: GitLabApi) -> None:
    instance.server.faults.add(Fault.CLOSED, method="POST")
    with pytest.raises(Unreachable):
        await api.create_pipeline(instance.project.id, "main", {})
    assert len([asked for asked in instance.server.asked() if asked.startswith("POST")]) == 1


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"pipelines_enabled": False}, "Enable CI/CD"),
        ({"protected": ["wsdash/*"]}, "placement own"),
    ],
)
async def test_a_pipeline_that_the_project_forbids_waits_for_somebody_to_mend_it(
    instance: Instance, change: dict[str, object], hint: str
) -> None:
    instance.project.roles[instance.user.id] = 30
    instance.project.repository.commit(
        "wsdash/x",
        "x",
        [{"action": "create", "file_path": "x", "content": ""}],
        author="a",
        start_branch="main",
    )
    for name, value in change.items():
        setattr(instance.project, name, value)
    api = instance.api()
    with pytest.raises(PreconditionFailed, match="GitLab refuses") as caught:
        await api.create_pipeline(instance.project.id, "wsdash/x", {})
    assert hint in caught.value.hint
    await api.client.aclose()


async def test_a_push_rule_and_a_bad_configuration_are_quoted(instance: Instance, api: GitLabApi) -> None:
    instance.project.push_rule = "Commit message does not follow the pattern 'JIRA-[0-9]+'"
    with pytest.raises(PreconditionFailed, match="JIRA") as blocked:
        await api.commit(
            instance.project.id,
            branch="w",
            message="m",
            files={"a": ""},
            action="create",
            start_branch="main",
        )
    assert "push rule" in blocked.value.hint
    instance.project.push_rule = None
    await api.commit(
        instance.project.id,
        branch="w",
        message="m [skip ci]",
        files={".gitlab-ci.yml": "a: {scrip: x}"},
        action="update",
        start_branch="main",
    )
    with pytest.raises(Rejected, match="GitLab refuses a pipeline for w"):
        await api.create_pipeline(instance.project.id, "w", {})


async def test_after_a_limit_no_request_is_made_before_its_time_by_any_process(instance: Instance) -> None:
    now = [1_000_000.0]
    instance.clock = lambda: now[0]
    one, other = instance.api(), instance.api()
    instance.server.faults.add(Fault.TOO_MANY_REQUESTS, times=1, retry_after=90)
    with pytest.raises(RateLimited) as caught:
        await one.user()
    assert caught.value.retry_at == now[0] + 90
    instance.server.forget()
    with pytest.raises(RateLimited, match="waits for 90 s"):
        await other.user()
    assert instance.server.asked() == []
    now[0] += 90
    assert (await other.user()).username == "ada"
    for api in (one, other):
        await api.client.aclose()


async def test_a_log_is_read_from_where_one_is(instance: Instance, api: GitLabApi) -> None:
    instance.project.repository.commit(
        "w",
        "[skip ci]",
        [{"action": "update", "file_path": ".gitlab-ci.yml", "content": "a: {script: [x]}"}],
        author="a",
        start_branch="main",
    )
    pipeline = await api.create_pipeline(instance.project.id, "w", {})
    (job,) = await api.jobs(instance.project.id, pipeline.id)
    instance.server.state.jobs[job.id].trace[:] = bytes(range(256)) * 1000
    part = await api.trace(instance.project.id, job.id, 1000, 256)
    assert (part.offset, part.size, len(part.data)) == (1000, 256_000, 256)
    assert part.data == (bytes(range(256)) * 5)[1000:1256]


async def test_an_installation_below_a_path_is_reached(tmp_path: Path) -> None:
    with GitLabServer(tmp_path / "gitlab", sub_path="/gitlab") as server:
        instance = Instance.made(server, tmp_path)
        assert server.url.endswith("/gitlab")
        api = instance.api()
        assert (await api.project("group/app")).path_with_namespace == "group/app"
        await api.client.aclose()


async def test_a_certificate_is_trusted_by_the_file_that_the_context_names(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca.pem")
    for host, fits in (("localhost", True), ("elsewhere.example", False)):
        with GitLabServer(tmp_path / host, tls=authority.context(host, tmp_path)) as server:
            token = server.add_token(server.add_user("ada"))
            paths = Paths(tmp_path / "state", tmp_path / "config", tmp_path / "cache")
            trusting = gitlab_api(server.url, lambda token=token: token, paths, ca_file=str(authority.file))  # type: ignore[misc]
            strict = gitlab_api(server.url, lambda token=token: token, paths)  # type: ignore[misc]
            with pytest.raises(PreconditionFailed, match=r"unknown authority|another name"):
                await strict.user()
            if fits:
                assert (await trusting.user()).username == "ada"
            else:
                with pytest.raises(PreconditionFailed, match="another name"):
                    await trusting.user()
            await trusting.client.aclose()
            await strict.client.aclose()


@pytest.mark.parametrize(
    ("url", "words"),
    [("http://127.0.0.1:1", "nothing listens"), ("http://no-such-host.invalid", r"cannot be resolved|proxy")],
)
async def test_an_address_where_no_gitlab_is_says_so(tmp_path: Path, url: str, words: str) -> None:
    api = gitlab_api(url, lambda: "t", Paths(tmp_path, tmp_path, tmp_path))
    with pytest.raises(Unreachable, match=words):
        await api.user()
    await api.client.aclose()


async def test_the_environments_proxy_is_used_and_its_exceptions_count(
    instance: Instance, api: GitLabApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with forwarding() as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy)
        assert (await api.user()).username == "ada"
        assert asked == [f"{instance.server.url}/api/v4/user"]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        other = instance.api()
        assert (await other.user()).username == "ada"
        assert len(asked) == 1
        await other.client.aclose()


async def test_a_netrc_of_the_user_does_not_stand_in_for_the_token(
    instance: Instance, api: GitLabApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert (await api.user()).username == "ada"


@pytest.mark.parametrize("fault", [Fault.DEEP, Fault.DEEP_ERROR])
async def test_an_answer_that_is_nested_without_end_is_a_sentence(
    instance: Instance, api: GitLabApi, fault: Fault
) -> None:
    instance.server.faults.add(fault, method="GET")
    with pytest.raises(ProviderError) as output:
        await api.project("group/app")
    assert "[[" not in str(output.value)
