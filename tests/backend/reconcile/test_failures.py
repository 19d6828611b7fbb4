"""Background work that fails is logged and goes on, until it must not."""

from __future__ import annotations

import logging

import pytest

from wsdash.backend.errors import UserError
from wsdash.backend.reconcile.failures import log_failures
from wsdash.backend.store.errors import DatabaseError, StateRemoved
from wsdash.backend.store.lease import LeaseLost
from wsdash.backend.store.mapping import NoSuchWorkspace


async def fails(error: Exception) -> None:
    raise error


async def works() -> None:
    pass


async def test_a_failure_is_logged_once_while_it_stays_the_same_and_so_is_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    for error in (
        DatabaseError("the disk is full"),
        DatabaseError("the disk is full"),
        UserError("no", "do"),
    ):
        assert not await log_failures("polling work", fails(error))
    for _ in range(2):
        assert await log_failures("polling work", works())
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO"]
    assert all(record.getMessage().startswith("polling work: ") for record in caplog.records)
    assert all(record.exc_info is None for record in caplog.records)


async def test_an_error_that_nobody_expected_has_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    assert not await log_failures("saving w1", fails(RuntimeError("a fault")))
    assert caplog.records[0].exc_info is not None
    assert await log_failures("saving w1", works())


async def test_a_workspace_that_is_gone_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    assert await log_failures("deciding on w2", fails(NoSuchWorkspace("w2")))
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.parametrize("error", [LeaseLost("another has it"), StateRemoved("it is gone")])
async def test_who_may_not_write_any_more_must_stop(error: Exception) -> None:
    with pytest.raises(type(error)):
        await log_failures("polling work", fails(error))
