"""Before a context is added one hears, in sentences, what is missing; asking changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.backend.providers.gitlab.harness import Instance
from tests.gitlab_server.faults import Fault
from tests.gitlab_server.state import Variable
from wsdash.backend.providers.gitlab.api.models import Project
from wsdash.backend.providers.gitlab.preflight import _own_address, probe, source_finding
from wsdash.backend.providers.types import Finding


async def findings(instance: Instance, **settings: object) -> list[Finding]:
    api = instance.api()
    try:
        return await probe(api, replace(instance.settings, **settings))  # type: ignore[arg-type]
    finally:
        await api.client.aclose()


def blocked(found: list[Finding]) -> str:
    return "; ".join(f"{finding.message}. {finding.hint}" for finding in found if finding.level == "blocked")


async def test_a_project_of_ones_own_with_a_runner_lacks_nothing(instance: Instance) -> None:
    found = await findings(instance)
    assert {finding.level for finding in found} == {"ok"}
    assert all(asked.startswith(("GET", "HEAD")) for asked in instance.server.asked())
    assert len(instance.server.asked()) <= 9


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("pipelines_enabled", False, "CI/CD is disabled"),
        ("archived", True, "archived"),
        ("ci_config_path", "ci.yml@group/other", "placement own"),
    ],
)
async def test_what_stands_in_the_way_is_named(
    instance: Instance, field: str, value: object, words: str
) -> None:
    setattr(instance.project, field, value)
    assert words in blocked(await findings(instance))


async def test_a_role_that_is_too_low_and_one_that_is_enough_with_limits(instance: Instance) -> None:
    instance.project.roles[instance.user.id] = 20
    assert "role in group/app is too low" in blocked(await findings(instance))
    instance.project.roles[instance.user.id] = 30
    found = await findings(instance)
    assert blocked(found) == ""
    assert any("cannot force" in f.message for f in found if f.level == "warning")


async def test_a_token_that_may_only_read_is_named_with_its_scopes(instance: Instance) -> None:
    instance.token = instance.server.add_token(instance.user, ["read_api"])
    assert "scopes are read_api, but pipelines need api" in blocked(await findings(instance))


async def test_tags_that_no_runner_has_and_runners_that_are_paused(instance: Instance) -> None:
    assert "no runner with the tags gpu" in blocked(await findings(instance, tags=("gpu",)))
    next(iter(instance.server.state.runners.values())).paused = True
    assert "paused" in blocked(await findings(instance))


async def test_runners_for_protected_branches_alone_take_no_job_of_a_workspace(instance: Instance) -> None:
    (runner,) = instance.server.state.runners.values()
    runner.access_level = "ref_protected"
    assert "takes only jobs of protected branches" in blocked(await findings(instance))
    instance.project.protected.append("wsdash/*")
    assert "1 runners fit" in [finding.message for finding in await findings(instance)]


async def test_a_runner_that_is_not_there_may_come_and_is_a_warning(instance: Instance) -> None:
    (runner,) = instance.server.state.runners.values()
    runner.contacted_at = None
    (warning,) = [finding for finding in await findings(instance) if finding.level == "warning"]
    assert warning.message == "no suitable runner is online"


@pytest.mark.parametrize(("value", "warns"), [("true", True), ("1", True), ("false", False)])
async def test_a_project_whose_jobs_log_their_secrets_is_warned_of(
    instance: Instance, value: str, warns: bool
) -> None:
    instance.project.variables["CI_DEBUG_TRACE"] = Variable(value)
    warnings = [finding.message for finding in await findings(instance) if finding.level == "warning"]
    assert any("so the log shows secrets" in message for message in warnings) is warns


async def test_a_gitlab_that_calls_itself_otherwise_is_warned_of(instance: Instance) -> None:
    instance.server.state.external_url = "https://gitlab.example.com/git"
    (warning,) = [finding for finding in await findings(instance) if finding.level == "warning"]
    assert "this GitLab calls itself https://gitlab.example.com/git, not http://" in warning.message
    instance.server.state.external_url = None


@pytest.mark.parametrize(
    ("own", "url"),
    [
        ("https://x.org", "https://X.org:443/"),
        ("http://x.org/git", "http://x.org/git"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_addresses_are_the_same_however_they_are_written(own: str, url: str) -> None:
    project = Project(id=1, path_with_namespace="group/app", web_url=f"{own}/group/app")
    assert list(_own_address(project, url)) == []
    assert list(_own_address(project.model_copy(update={"web_url": ""}), url)) == []


async def test_an_old_gitlab_is_named(instance: Instance) -> None:
    instance.server.state.version = "15.0.0"
    assert "16.6 or newer" in blocked(await findings(instance))


async def test_a_gitlab_that_cannot_be_asked_is_the_one_finding(instance: Instance) -> None:
    instance.server.faults.add(Fault.MAINTENANCE)
    (finding,) = await findings(instance)
    assert finding.level == "blocked" and "maintained" in finding.message


async def test_the_job_token_allowlist_decides_what_a_project_of_ones_own_may_clone(
    instance: Instance,
) -> None:
    own = instance.server.add_project("ada/workspaces", owners=[instance.user])
    settings = replace(instance.settings, project="ada/workspaces", placement="own")
    api = instance.api()
    finding = await source_finding(api, settings, "group/app")
    assert finding is not None and finding.level == "warning" and "allowlist" in finding.message
    instance.project.allowlist.add(own.id)
    finding = await source_finding(api, settings, "group/app")
    assert finding is not None and finding.level == "ok"
    await api.client.aclose()


@pytest.mark.parametrize(
    ("url", "warns"),
    [
        ("http://gitlab.example.com", True),
        ("http://10.0.0.5:8080/gitlab", True),
        ("https://gitlab.example.com", False),
        ("http://localhost:8929", False),
        ("http://127.0.0.1:8929", False),
    ],
)
async def test_an_address_without_encryption_is_a_warning_but_on_this_machine(
    instance: Instance, url: str, warns: bool
) -> None:
    found = await findings(instance, url=url)
    assert any("unencrypted" in finding.message for finding in found) is warns


@pytest.mark.parametrize(("ahead_s", "words"), [(-90.0, "s ahead of GitLab's"), (90.0, "s behind GitLab's")])
async def test_a_clock_that_is_wrong_is_told_for_jobs_prove_themselves_by_the_time(
    instance: Instance, ahead_s: float, words: str
) -> None:
    instance.server.clock.advance(ahead_s)
    (output,) = [found for found in await findings(instance) if found.level == "warning"]
    assert (
        words in output.message
        or words.replace("90", "89") in output.message
        or words.replace("90", "91") in output.message
    )


async def test_a_volume_on_more_than_one_runner_is_told_of(instance: Instance) -> None:
    instance.server.add_runner(tags=["big"])
    found = await findings(instance, tags=("big",), volume="/wsdash")
    assert {finding.level for finding in found} == {"ok"}
    assert any("folders of /wsdash" in finding.message for finding in found)
    instance.server.add_runner(tags=["big", "other"])
    (warning,) = (
        f for f in await findings(instance, tags=("big",), volume="/wsdash") if f.level == "warning"
    )
    assert "2 runners have the tags big" in warning.message


async def test_whether_others_can_change_what_runs_is_told_to_who_may_see_it(instance: Instance) -> None:
    def hint(found: list[Finding]) -> str:
        return next(
            finding.hint for finding in found if finding.message.startswith("workspaces run in the project")
        )

    assert "protect the branches wsdash/*" in hint(await findings(instance))
    instance.project.protected.append("wsdash/*")
    assert hint(await findings(instance)) == ""
