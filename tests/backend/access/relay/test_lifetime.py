"""When a relay ends by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.relay import __main__ as process
from wsdash.backend.access.relay import lifetime
from wsdash.backend.access.relay.admission import Limits
from wsdash.backend.access.relay.lifetime import UNUSED_S, Lifetime
from wsdash.backend.access.relay.server import Relay


def test_it_goes_on_while_a_job_holds_a_tunnel_and_ten_minutes_longer() -> None:
    life = Lifetime(0.0)
    life.look(5000.0, has_tunnels=True, need=0)
    assert not life.is_over(5000.0 + UNUSED_S - 1)
    assert life.is_over(5000.0 + UNUSED_S)


def test_it_goes_on_while_somebody_asks_for_it() -> None:
    life = Lifetime(0.0)
    for number in range(1, 100):
        life.look(number * 500.0, has_tunnels=False, need=number)
        assert not life.is_over(number * 500.0 + 499)
    life.look(100 * 500.0, has_tunnels=False, need=99)
    assert life.is_over(99 * 500.0 + UNUSED_S)


def test_one_that_nobody_has_ever_needed_ends_too() -> None:
    assert not Lifetime(100.0).is_over(101.0)
    assert Lifetime(100.0).is_over(100.0 + UNUSED_S)


async def test_the_process_ends_when_nobody_needs_it_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "ABOUT_S", 0.01)
    monkeypatch.setattr(lifetime, "UNUSED_S", 0.5)
    folder, relay, ended = (
        AccessFolder(tmp_path),
        Relay(AccessFolder(tmp_path), Limits.of(1024)),
        asyncio.Event(),
    )
    monkeypatch.setattr(Relay, "has_tunnels", True)
    watching = asyncio.create_task(process._end_when_unused(folder, relay, ended))
    done, _ = await asyncio.wait([watching], timeout=1.0)
    assert not done, "a job holds a tunnel"
    monkeypatch.setattr(Relay, "has_tunnels", False)
    await asyncio.wait_for(ended.wait(), 30)
