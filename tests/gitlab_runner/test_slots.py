"""The small runner gives builds folders as real ones do."""

from __future__ import annotations

from tests.gitlab_runner.slots import free_slot


def test_a_job_gets_the_lowest_folder_that_no_other_job_has() -> None:
    assert free_slot([]) == 0
    assert free_slot([0, 1]) == 2
    # The first has ended and the second has not: their number tells nothing.
    assert free_slot([1]) == 0
    assert free_slot([0, 2, 3]) == 1
