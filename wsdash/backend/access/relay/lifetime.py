"""When a relay that nobody needs ends. Pure."""

from __future__ import annotations

from dataclasses import dataclass

UNUSED_S = 600.0
"""How long a relay goes on without a tunnel, and without a process of wsdash that needs it."""


@dataclass(slots=True)
class Lifetime:
    """A relay is needed while a job holds a tunnel, and while daemons, dashboards or commands ask for it, which they do
    as long as a workspace of a GitLab has a job. `used_at` is in seconds of a clock that only goes on.
    """

    used_at: float
    need: int = 0

    def look(self, now: float, *, has_tunnels: bool, need: int) -> None:
        """Take in what is seen now: `need` is a mark that changes whenever somebody asks."""
        if has_tunnels or need != self.need:
            self.used_at = now
        self.need = need

    def is_over(self, now: float) -> bool:
        """Whether nobody has needed the relay for `UNUSED_S`."""
        return now - self.used_at >= UNUSED_S
