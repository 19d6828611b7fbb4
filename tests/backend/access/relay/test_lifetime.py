"""When a relay ends by itself."""

from __future__ import annotations

from wsdash.backend.access.relay.lifetime import UNUSED_S, Lifetime


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
