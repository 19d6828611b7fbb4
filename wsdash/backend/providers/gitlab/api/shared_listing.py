"""The user's newest pipelines in all projects by one request, for contexts that share an instance and a token.

GitLab has `GET /pipelines` since 19.3. Where it is not there, or leaves out what is needed, each project is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wsdash.backend.providers.errors import ProviderError, Unreachable
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.models import Listing, Pipeline


class SharedListing:
    """What one context has asked for, the others use while it is fresh. `clock` gives seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.users = 0
        """How many contexts there are to share it: one alone is served better by its own project's list."""
        self._clock = clock
        self._asking = asyncio.Lock()
        self._last: Listing[Pipeline] | None = None
        self._asked_at = float("-inf")
        self._is_there = True

    async def of(self, api: GitLabApi, project_id: int, max_age_s: float) -> Listing[Pipeline] | None:
        """Those of a project among the user's newest hundred; None where they are to be asked for by project.

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
