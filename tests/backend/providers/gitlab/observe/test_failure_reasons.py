"""GitLab's failure reasons as causes."""

from __future__ import annotations

import pytest

from wsdash.backend.providers.gitlab.observe.failure_reasons import reason_of
from wsdash.model import Cause


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("script_failure", Cause.USER_CODE),
        ("trace_size_exceeded", Cause.USER_CODE),
        ("runner_system_failure", Cause.RUNNER_LOST),
        ("stuck_or_timeout_failure", Cause.RUNNER_LOST),
        ("no_updates_running", Cause.RUNNER_LOST),
        ("job_execution_timeout", Cause.TIMEOUT),
        ("runner_external_dependency_failure", Cause.IMAGE),
        ("ci_quota_exceeded", Cause.QUOTA),
        ("stuck_pending_no_matching_runners", Cause.NO_RUNNER),
        ("stuck_pending_with_matching_runners", Cause.QUEUE),
        ("user_blocked", Cause.PERMISSION),
        ("runner_configuration_error", Cause.CONFIGURATION),
        ("something_new_in_gitlab_25", Cause.RUNNER_LOST),
        (None, Cause.RUNNER_LOST),
    ],
)
def test_each_reason_of_gitlab_has_its_class_and_a_new_one_is_tried_again(
    name: str | None, cause: Cause
) -> None:
    assert reason_of(name).cause is cause
    assert reason_of(name).text
