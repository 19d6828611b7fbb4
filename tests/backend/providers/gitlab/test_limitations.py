"""Limitations of a context are reported before anything runs: secrets, and code that may not be cloned."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest

from tests.backend.providers.gitlab.harness import Instance
from tests.gitlab_server.state import Variable
from wsdash.backend.providers.errors import PermanentError, PreconditionFailed
from wsdash.backend.providers.gitlab.api.ci_variables import check, forget, keep
from wsdash.backend.providers.gitlab.limitations import limitations_of, project_of
from wsdash.workload import Secret, Source, Workload


@pytest.mark.parametrize(
    ("url", "instance", "path"),
    [
        ("https://gitlab.example.com/group/app.git", "https://gitlab.example.com", "group/app"),
        ("https://gitlab.example.com/group/sub/app", "https://gitlab.example.com", "group/sub/app"),
        ("https://host/gitlab/group/app.git", "https://host/gitlab", "group/app"),
        ("http://127.0.0.1:8929/group/app.git", "http://127.0.0.1:8929", "group/app"),
        ("git@gitlab.example.com:group/app.git", "https://gitlab.example.com", "group/app"),
        ("ssh://git@gitlab.example.com:2222/group/app.git", "https://gitlab.example.com", "group/app"),
        ("https://github.com/group/app.git", "https://gitlab.example.com", None),
        ("https://gitlab.example.com.evil.org/group/app.git", "https://gitlab.example.com", None),
        ("/srv/app", "https://gitlab.example.com", None),
    ],
)
def test_a_source_on_the_same_instance_is_one_of_its_projects(
    url: str, instance: str, path: str | None
) -> None:
    assert project_of(url, instance) == path


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        (None, "is not a CI/CD variable of group/app"),
        (Variable("x", masked=False), "is not masked"),
        (Variable("x", protected=True), "for protected branches only"),
        (Variable("x"), ""),
    ],
)
async def test_a_secret_that_the_job_would_not_get_is_named(
    instance: Instance, variable: Variable | None, words: str
) -> None:
    if variable is not None:
        instance.project.variables["TOKEN"] = variable
    api = instance.api()
    found = await limitations_of(api, instance.settings, Workload(secrets=(Secret("TOKEN"),)))
    await api.client.aclose()
    assert words in " ".join(remark.text for remark in found)
    assert bool(found) is bool(words)


async def test_runners_that_take_no_job_of_the_workspace_are_named(instance: Instance) -> None:
    (runner,) = instance.server.state.runners.values()
    api = instance.api()

    async def remarks() -> list[str]:
        return [remark.text for remark in await limitations_of(api, instance.settings, Workload())]

    assert await remarks() == []
    runner.access_level = "ref_protected"
    (remark,) = await remarks()
    assert remark.startswith(
        "its job would wait: every suitable runner takes only jobs of protected branches"
    )
    instance.project.protected.append("wsdash/*")
    assert await remarks() == []
    runner.paused = True
    assert await remarks() == ["its job would wait: every suitable runner is paused"]
    instance.project.roles[instance.user.id] = 30
    assert await remarks() == [], "a developer does not see the runners"
    await api.client.aclose()


async def test_what_a_role_does_not_show_is_not_remarked_on(instance: Instance) -> None:
    instance.project.roles[instance.user.id] = 30
    api = instance.api()
    assert await limitations_of(api, instance.settings, Workload(secrets=(Secret("TOKEN"),))) == []
    await api.client.aclose()


async def test_only_the_runners_are_asked_for_where_nothing_else_is_to_be_known(instance: Instance) -> None:
    api = instance.api()
    settings = replace(instance.settings, placement="own")
    assert await limitations_of(api, settings, Workload(source=Source("https://github.com/a/b.git"))) == []
    number, (runner,) = instance.project.id, instance.server.state.runners.values()
    assert instance.server.asked() == [
        f"GET /projects/{instance.project.path}",
        f"GET /projects/{number}/runners",
        f"GET /runners/{runner.id}",
    ]
    await api.client.aclose()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("short", "fewer than 8"),
        ("with a blank", "blanks"),
        ("two\nlines-of-it", "blanks"),
        ("long-enough$", ""),
    ],
)
def test_what_gitlab_cannot_mask_is_not_kept(value: str, words: str) -> None:
    with pytest.raises(PermanentError, match=words) if words else nullcontext():
        check("TOKEN", value)


async def test_secrets_are_masked_variables_that_are_removed_with_their_workspace(instance: Instance) -> None:
    api, project = instance.api(), instance.project
    project.variables["WSDASH_other_TOKEN"] = Variable("another's")
    await keep(api, project.id, "abc", {"TOKEN": "exactly$HOME", "OTHER": "long-enough"})
    kept = project.variables["WSDASH_abc_TOKEN"]
    assert (kept.value, kept.masked, kept.protected, kept.raw) == ("exactly$HOME", True, False, True)
    await forget(api, project.id, "abc")
    assert list(project.variables) == ["WSDASH_other_TOKEN"]
    await api.client.aclose()


async def test_only_maintainers_keep_secrets_and_a_developer_may_still_delete_a_workspace(
    instance: Instance,
) -> None:
    instance.project.roles[instance.user.id] = 30
    api = instance.api()
    with pytest.raises(PreconditionFailed, match="only maintainers"):
        await keep(api, instance.project.id, "abc", {"TOKEN": "long-enough"})
    await forget(api, instance.project.id, "abc")
    await api.client.aclose()
