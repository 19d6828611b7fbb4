"""The boot-time clock, which goes on while the machine sleeps and which nobody sets."""

from __future__ import annotations

import time


def boot_time() -> float:
    """Seconds since the machine started, sleep included."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)
