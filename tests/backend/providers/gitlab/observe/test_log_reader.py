"""Logs are asked for seldom, and read on from what was sent before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import NotFound
from wsdash.backend.providers.gitlab.observe.log_reader import AGAIN_S, MOST_KEPT, LogReader


class Api:
    """A log of each pipeline, and how often it was asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.logs: dict[int, bytes] = {1: b"0123456789"}
        self.requests = 0

    async def jobs(self, project: int, pipeline: int, *, urgent: bool) -> list[Any]:
        return [SimpleNamespace(id=pipeline)] if pipeline in self.logs else []

    async def trace(self, project: int, job: int, offset: int, limit: int) -> Any:  # noqa: ANN401
        self.requests += 1
        if self.logs[job] == b"erased":
            raise NotFound("gone", "")
        return SimpleNamespace(data=self.logs[job][offset : offset + limit], size=len(self.logs[job]))


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def reader(api: Api) -> LogReader:
    return LogReader(cast(GitLabApi, api), lambda: api.now)


async def test_a_whole_log_is_read_in_pieces_with_one_request(api: Api, reader: LogReader) -> None:
    pieces = [(await reader.read(1, 1, offset, 4, has_ended=False)).data for offset in (0, 4, 8)]
    assert (pieces, api.requests) == ([b"0123", b"4567", b"89"], 1)


async def test_what_is_new_is_asked_for_only_after_a_while(api: Api, reader: LogReader) -> None:
    await reader.read(1, 1, 0, 10, has_ended=False)
    api.logs[1] += b"new"
    assert (await reader.read(1, 1, 10, 10, has_ended=False)).data == b""
    api.now += AGAIN_S
    assert (await reader.read(1, 1, 10, 10, has_ended=False)).data == b"new"
    assert api.requests == 2


async def test_the_end_of_a_job_is_asked_for_once_and_then_never_again(api: Api, reader: LogReader) -> None:
    await reader.read(1, 1, 0, 10, has_ended=False)
    api.logs[1] += b"end"
    last = await reader.read(1, 1, 10, 10, has_ended=True)
    assert (last.data, last.ended) == (b"end", True)
    api.now += 1e6
    assert (await reader.read(1, 1, 13, 10, has_ended=True)).data == b""
    assert api.requests == 2


async def test_a_part_before_what_is_kept_is_asked_for(api: Api, reader: LogReader) -> None:
    await reader.read(1, 1, 8, 2, has_ended=True)
    assert (await reader.read(1, 1, 0, 2, has_ended=True)).data == b"01"
    assert (await reader.read(1, 1, -5, -5, has_ended=True)).data == b""


async def test_a_log_that_was_erased_has_ended_and_one_without_a_job_is_empty(
    api: Api, reader: LogReader
) -> None:
    api.logs[1] = b"erased"
    erased = await reader.read(1, 1, 0, 10, has_ended=False)
    assert (erased.data, erased.ended) == (b"", True)
    nothing = await reader.read(1, 9, 0, 10, has_ended=False)
    assert (nothing.data, nothing.ended) == (b"", False)


async def test_only_a_few_logs_are_kept(api: Api, reader: LogReader) -> None:
    for pipeline in range(1, MOST_KEPT + 2):
        api.logs[pipeline] = b"log"
        await reader.read(1, pipeline, 0, 3, has_ended=True)
    before = api.requests
    await reader.read(1, MOST_KEPT + 1, 0, 3, has_ended=True)
    assert api.requests == before
    await reader.read(1, 1, 0, 3, has_ended=True)
    assert api.requests == before + 1
