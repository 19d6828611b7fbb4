"""The boot-time clock, which runs while the machine sleeps and which no user can set."""

from __future__ import annotations

import time


def boot_time() -> float:
    """Return the seconds since the machine started, sleep included."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)
