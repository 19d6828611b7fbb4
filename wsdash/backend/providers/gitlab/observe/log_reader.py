"""Reads jobs' logs in parts from an API that always sends the whole: request seldom, cache what follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import NotFound
from wsdash.backend.providers.types import LogChunk

AGAIN_S = 1.5
"""Pause between two requests for a growing log, in seconds: new lines appear within three seconds."""
AHEAD = 1024 * 1024
"""Most bytes that are cached after the requested part."""
MOST_KEPT = 8


@dataclass(slots=True)
class _CachedLog:
    at: float
    data: bytes
    offset: int
    size: int
    is_final: bool


class LogReader:
    """Caches the last part of a few logs, for all readers."""

    def __init__(self, api: GitLabApi, clock: Callable[[], float]) -> None:
        self._api = api
        self._clock = clock
        self._jobs: dict[int, int] = {}
        self._kept: dict[int, _CachedLog] = {}

    async def read(
        self, project: int, pipeline: int, offset: int, limit: int, *, has_ended: bool
    ) -> LogChunk:
        """Return up to `limit` bytes from `offset` on; none if nothing new can exist yet.

        `has_ended` says that the job is known to have ended, so that the log does not grow after this.
        """
        offset, limit = max(0, offset), max(0, limit)
        kept = self._kept.get(pipeline)
        if kept is not None and (kept.is_final or not has_ended):
            end = kept.offset + len(kept.data)
            has_all = kept.offset <= offset and offset + limit <= end
            is_latest = kept.is_final or self._clock() - kept.at < AGAIN_S
            if has_all or (is_latest and kept.offset <= offset and end >= kept.size):
                return _chunk(kept, offset, limit)
        job = await self._job(project, pipeline)
        if job is None:
            return LogChunk(b"", offset, 0, has_ended)
        try:
            part = await self._api.trace(project, job, offset, max(limit, AHEAD))
        except NotFound:
            return LogChunk(b"", offset, 0, True)
        kept = _CachedLog(self._clock(), part.data, offset, part.size, has_ended)
        self._kept.pop(pipeline, None)
        self._kept[pipeline] = kept
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return _chunk(kept, offset, limit)

    async def _job(self, project: int, pipeline: int) -> int | None:
        if pipeline not in self._jobs:
            try:
                jobs = await self._api.jobs(project, pipeline, urgent=True)
            except NotFound:
                return None
            if not jobs:
                return None
            self._jobs[pipeline] = jobs[0].id
        return self._jobs[pipeline]


def _chunk(kept: _CachedLog, offset: int, limit: int) -> LogChunk:
    start = max(0, offset - kept.offset)
    data = kept.data[start : start + limit]
    return LogChunk(data, offset, kept.size, kept.is_final)
