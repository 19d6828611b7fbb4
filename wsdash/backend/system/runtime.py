"""Sources of time, randomness and ids, which tests replace."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from wsdash.backend.system.clock import boot_time


def new_id() -> str:
    """Return a unique and unpredictable id for an attempt."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Runtime:
    """The sources of time, randomness and ids of one process, passed to the code that needs them."""

    clock: Callable[[], float] = time.time
    """Seconds since the epoch."""
    boot_clock: Callable[[], float] = boot_time
    """Seconds on the boot-time clock: for durations that must not change when the wall clock is set or the machine
    sleeps."""
    random: Callable[[], float] = random.random
    """A number from 0 up to 1."""
    new_id: Callable[[], str] = new_id
    """The id of a new attempt."""
