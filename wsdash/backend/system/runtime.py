"""Sources of time, randomness and ids, which tests replace."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from wsdash.backend.system.clock import boot_time


def new_id() -> str:
    """Return a unique id for an attempt that nobody can guess."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Runtime:
    """The sources of time, randomness and ids of one process, passed to what needs them."""

    clock: Callable[[], float] = time.time
    """Seconds since the epoch."""
    boot_clock: Callable[[], float] = boot_time
    """Seconds on the boot-time clock: for what must go on when the wall clock is set or the machine sleeps."""
    random: Callable[[], float] = random.random
    """A number from 0 up to 1."""
    new_id: Callable[[], str] = new_id
    """A fresh attempt's id."""
