"""A job ends itself before the runner does, and the runner before GitLab."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.providers.gitlab.ci.timeouts import timeouts


@given(st.floats(20, 40 * 86400))
def test_a_job_ends_itself_before_the_runner_does_and_the_runner_before_gitlab(job_s: float) -> None:
    limits = timeouts(job_s)
    assert 0 < limits.deadline < limits.script < limits.job
    assert limits.script + limits.after_script < limits.job


def test_a_time_limit_that_leaves_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves no time"):
        timeouts(5)
