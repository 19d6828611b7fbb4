"""Lists the user's newest pipelines of all projects in one request, for contexts with the same instance and token.

GitLab has `GET /pipelines` since 19.3. Without it, or if its answer is incomplete, each project is queried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wsdash.backend.providers.errors import ProviderError, Unreachable
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.models import Listing, Pipeline


class SharedListing:
    """The last answer, shared by the contexts while it is fresh. `clock` gives seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.users = 0
        """The number of contexts that share it; for a single one, its own project's list is better."""
        self._clock = clock
        self._asking = asyncio.Lock()
        self._last: Listing[Pipeline] | None = None
        self._asked_at = float("-inf")
        self._is_there = True

    async def of(self, api: GitLabApi, project_id: int, max_age_s: float) -> Listing[Pipeline] | None:
        """Return a project's pipelines among the user's newest hundred; None if the project itself must be queried.

        Raises what the API does when GitLab cannot be reached.
        """
        if self.users < 2 or not self._is_there:
            return None
        async with self._asking:
            if self._last is None or self._clock() - self._asked_at > max_age_s:
                try:
                    self._last = await api.own_pipelines()
                except Unreachable:
                    raise
                except ProviderError:
                    self._is_there = False
                    return None
                self._asked_at = self._clock()
            found = self._last
        if any(item.project_id is None for item in found.items):
            self._is_there = False
            return None
        items = [item for item in found.items if item.project_id == project_id]
        return Listing(items=items, at=found.at, skew=found.skew, is_whole=found.is_whole)
