"""The service behind the dashboard: its rows, failures of its background work, and the hand-over at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from tests.screens.stub import StubService, every_phase, row
from tests.waiting import until
from wsdash.backend.service import Service
from wsdash.backend.store.errors import StateRemoved
from wsdash.screens import session as module
from wsdash.screens.session import Session


class Watched:
    """A session over the stub, with what it has reported."""

    def __init__(self, stub: StubService) -> None:
        self.stub = stub
        self.changes = 0
        self.failures: list[str] = []
        self.refused: list[Exception] = []
        self.session = Session(self._open, changed=self._count, failed=self._note)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Service]:
        if self.refused:
            raise self.refused[0]
        yield cast(Service, self.stub)

    def _count(self) -> None:
        self.changes += 1

    def _note(self, error: BaseException, what: str) -> None:
        self.failures.append(f"{what}: {error}")


@pytest.fixture
async def watched(stub: StubService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    monkeypatch.setattr(module, "GAP_S", 0.001)
    found = Watched(stub)
    yield found
    await found.session.close()


async def test_rows_follow_the_store_until_the_end_and_a_daemon_takes_over(watched: Watched) -> None:
    session, stub = watched.session, watched.stub
    session.start()
    session.start()
    await until(lambda: session.rows == stub.rows, what="the rows")
    assert stub.asked == [("reconcile", "dashboard")], "it is opened once"
    stub.change([row("new")])
    await until(lambda: [found.workspace.name for found in session.rows] == ["new"], what="the change")
    await session.close()
    assert session.handed_over
    assert session.service is None
    assert watched.failures == []


async def test_an_upgrade_under_the_dashboard_is_reported(watched: Watched) -> None:
    watched.session.start()
    await until(lambda: watched.session.reconciling, what="the reconciler")
    watched.stub.upgraded.set()
    await until(lambda: watched.stub.notices, what="the notice")
    assert watched.stub.notices[0].startswith("wsdash was upgraded: this dashboard runs the old code")


async def test_a_store_that_cannot_be_read_keeps_the_last_rows_with_the_reason(watched: Watched) -> None:
    session, stub = watched.session, watched.stub
    session.start()
    await until(lambda: session.reconciling, what="the reconciler")
    read = stub.workspaces

    async def removed(*, deleted: bool = False) -> list[object]:
        raise StateRemoved("the state folder is gone")

    stub.workspaces = removed  # type: ignore[method-assign, assignment]
    session.reload()
    await until(lambda: session.stale_reason, what="the reason")
    assert "the state folder is gone" in session.stale_reason
    assert session.rows == every_phase()
    assert session.reconciling is None, "nobody keeps jobs alive without a state folder"
    stub.workspaces = read  # type: ignore[method-assign]
    session.reload()
    await until(lambda: not session.stale_reason and session.reconciling, what="the next read")


async def test_a_failure_of_background_work_is_reported_once_and_the_rest_goes_on(watched: Watched) -> None:
    session, stub = watched.session, watched.stub

    async def capabilities(context: str = "local") -> object:
        raise OSError("no answer")

    stub.capabilities = capabilities  # type: ignore[method-assign, assignment]
    session.start()
    await until(lambda: session.rows == stub.rows, what="the rows")
    await until(lambda: watched.failures, what="the failure")
    assert watched.failures == ["reading the default context: no answer"]
    assert (session.context, session.isolation) == (None, None)


async def test_a_store_that_cannot_be_opened_is_opened_again_when_it_is_read_again(watched: Watched) -> None:
    session = watched.session
    watched.refused.append(OSError("the disk is full"))
    session.start()
    await until(lambda: watched.failures, what="the failure")
    assert watched.failures == ["opening the store: the disk is full"]
    assert "cannot be used" in session.stale_reason
    watched.refused.clear()

    def is_open() -> bool:
        session.reload()
        return session.service is not None

    await until(is_open, what="the service")
    await until(lambda: not session.stale_reason, what="the rows")


async def test_a_hand_over_that_fails_is_reported_and_the_end_goes_on(watched: Watched) -> None:
    session = watched.session

    async def hand_over() -> bool:
        raise OSError("no daemon")

    watched.stub.hand_over = hand_over  # type: ignore[method-assign]
    session.start()
    await until(lambda: session.service, what="the service")
    await session.close()
    assert watched.failures == ["handing over to the daemon: no daemon"]
    assert not session.handed_over
