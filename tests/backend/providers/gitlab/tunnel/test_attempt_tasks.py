"""Background work for attempts: one task for each, forgotten when it is done, and ended with its owner."""

from __future__ import annotations

import asyncio

from tests.waiting import until
from wsdash.backend.providers.gitlab.tunnel.attempt_tasks import AttemptTasks


async def test_work_for_an_attempt_is_begun_once_until_it_is_done() -> None:
    tasks, began, ends = AttemptTasks(), [], asyncio.Event()

    async def work(name: str) -> None:
        began.append(name)
        await ends.wait()

    tasks.start("a1", work, "first")
    tasks.start("a1", work, "second")
    tasks.start("a2", work, "another attempt's")
    await until(lambda: len(began) == 2)
    assert began == ["first", "another attempt's"]
    ends.set()
    await until(lambda: len(tasks) == 0)
    tasks.start("a1", work, "third")
    await until(lambda: began[-1] == "third")
    await tasks.aclose()


async def test_work_that_fails_hinders_no_later_work() -> None:
    tasks, done = AttemptTasks(), asyncio.Event()

    async def fail() -> None:
        raise OSError

    async def succeed() -> None:
        done.set()

    tasks.start("a1", fail)
    await until(lambda: len(tasks) == 0)
    tasks.start("a1", succeed)
    await until(done.is_set)


async def test_closing_cancels_what_is_under_way_and_waits_for_its_end() -> None:
    tasks, cleaned = AttemptTasks(), False

    async def work() -> None:
        nonlocal cleaned
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned = True

    tasks.start("a1", work)
    await asyncio.sleep(0)
    await tasks.aclose()
    assert cleaned and len(tasks) == 0
