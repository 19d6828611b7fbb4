"""One worker a key, urgent keys first, signals that arrive meanwhile coalesce."""

from __future__ import annotations

from wsdash.backend.reconcile.workqueue import WorkQueue


async def test_signals_while_it_waits_coalesce() -> None:
    queue = WorkQueue()
    for _ in range(3):
        queue.add("a")
    assert await queue.take() == "a"
    queue.done("a")
    assert queue.is_idle()


async def test_signals_while_it_is_worked_on_lead_to_one_more_run() -> None:
    queue = WorkQueue()
    queue.add("a")
    assert await queue.take() == "a"
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert await queue.take() == "b", "a is not given to a second worker"
    queue.done("a")
    assert await queue.take() == "a"
    queue.done("a")
    queue.done("b")
    assert queue.is_idle()


async def test_a_users_command_overtakes_background_work() -> None:
    queue = WorkQueue()
    for key in "abc":
        queue.add(key)
    queue.add("c", urgent=True)
    assert await queue.take() == "c"
    assert await queue.take() == "a"
