"""Which runner takes a workspace's job, and the reason where none does."""

from __future__ import annotations

import pytest

from wsdash.backend.providers.gitlab.api.models import Runner
from wsdash.backend.providers.gitlab.observe.runner_fit import fitting, none_fits, obstacle


def runner(**more: object) -> Runner:
    return Runner.model_validate({"id": 1, "tag_list": ["big"], "run_untagged": True, **more})


@pytest.mark.parametrize(
    ("more", "tags", "reason"),
    [
        ({}, [], None),
        ({}, ["big"], None),
        ({"tag_list": ["big", "other"]}, ["big"], None),
        ({}, ["big", "gpu"], "has other tags"),
        ({"run_untagged": False}, [], "takes only jobs with its tags"),
        ({"run_untagged": False}, ["big"], None),
        ({"paused": True}, [], "is paused"),
        ({"access_level": "not_protected"}, [], None),
        ({"access_level": "ref_protected"}, [], "takes only jobs of protected branches"),
        ({"access_level": "ref_protected", "paused": True, "run_untagged": False}, [], "takes only jobs with its tags"),
        # A user who may not see what it takes.
        ({"tag_list": None, "run_untagged": None}, ["gpu"], None),
    ],
)  # fmt: skip
def test_what_keeps_a_runner_from_a_job(more: dict[str, object], tags: list[str], reason: str | None) -> None:
    assert obstacle(runner(**more), tags, is_protected=False) == reason


def test_a_runner_for_protected_branches_takes_jobs_where_those_of_workspaces_are() -> None:
    only = runner(access_level="ref_protected")
    assert fitting([only], [], is_protected=True) == [only]
    assert none_fits([only], [], is_protected=True) is None


@pytest.mark.parametrize(
    ("runners", "tags", "reason"),
    [
        ([], [], "the project has no runner that takes jobs without tags"),
        ([], ["gpu", "big"], "the project has no runner with the tags big, gpu"),
        ([runner()], ["gpu"], "the project has no runner with the tags gpu"),
        ([runner(), runner(tag_list=["gpu"], paused=True)], ["gpu"], "every suitable runner is paused"),
        ([runner(access_level="ref_protected"), runner(run_untagged=False)], [], "every suitable runner takes only"),
    ],
)  # fmt: skip
def test_the_reason_is_the_one_that_the_nearest_runner_has(
    runners: list[Runner], tags: list[str], reason: str
) -> None:
    found = none_fits(runners, tags, is_protected=False)
    assert found is not None and found[0].startswith(reason)
    assert none_fits([*runners, runner(tag_list=["gpu", "big"])], tags, is_protected=False) is None
