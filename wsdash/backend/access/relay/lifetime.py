"""Decides when an unused relay ends. Pure."""

from __future__ import annotations

from dataclasses import dataclass

UNUSED_S = 600.0
"""Longest time, in seconds, that a relay runs without a tunnel and without a process of wsdash that needs it."""


@dataclass(slots=True)
class Lifetime:
    """A relay is needed while a job holds a tunnel, and while daemons, dashboards or commands ask for it, which they do
    as long as a workspace of a GitLab context has a job. `used_at` is in seconds of a monotonic clock.
    """

    used_at: float
    need: int = 0

    def look(self, now: float, *, has_tunnels: bool, need: int) -> None:
        """Record the present use: `need` is a mark that changes with each request for the relay."""
        if has_tunnels or need != self.need:
            self.used_at = now
        self.need = need

    def is_over(self, now: float) -> bool:
        """Whether the relay was unused for `UNUSED_S`."""
        return now - self.used_at >= UNUSED_S
