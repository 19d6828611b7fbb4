"""The builds folder of a job: CI_CONCURRENT_PROJECT_ID of GitLab Runner's `common/build_settings.go`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count


def free_slot(taken: Iterable[int]) -> int:
    """The lowest number that no job has: two jobs never share a folder, and a freed one is used again."""
    used = set(taken)
    return next(number for number in count() if number not in used)
