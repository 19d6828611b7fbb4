"""The lease: one process at a time reconciles a state store. `FencedStore` takes, renews and releases it.

The lease is a row. Its token grows with every new holder, and each write of the reconciler compares it, so a
holder that was paused and replaced changes nothing (a lease alone does not fence). It expires by the boot-time
clock, which runs while the machine sleeps and which no user can set.
"""

from __future__ import annotations

import sqlite3

from wsdash.backend.system.processes import ProcessIdentity, boot_id
from wsdash.frozen import dataclass

LEASE_NAME = "reconciler"
LEASE_S = 45.0
"""Validity of the lease of a stopped or hanging holder, in seconds; a holder's death is noticed at once."""
RENEW_S = 15.0
"""Interval between renewals of the lease, in seconds. Polls renew it too, so an idle store is written once in it."""


class LeaseLost(Exception):
    """Another process reconciles now: stop at once, and change nothing."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The stored lease. `owner` is the kind of process that holds it: `dashboard` or `daemon`."""

    token: int
    owner: str
    holder: ProcessIdentity
    expires_at: float
    version: str = ""
    """The holder's version of wsdash."""

    def is_held(self, now: float) -> bool:
        """Whether its holder may still act: the lease has not expired, and the process is not known to have ended."""
        if self.holder.boot_id != boot_id():
            return False
        return now < self.expires_at and self.holder.is_alive()


def lease_of(row: sqlite3.Row) -> Lease:
    """Return the lease of a row."""
    holder = ProcessIdentity(row["pid"], row["pid_start"], row["boot_id"])
    return Lease(row["token"], row["owner"], holder, row["expires_at"], row["version"])
