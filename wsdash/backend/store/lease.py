"""The lease: one process at a time reconciles a state store. `FencedStore` takes, renews and releases it.

The lease is a row. Its token grows with every new holder, and each write of the reconciler compares it, so a
holder that was paused and replaced changes nothing (a lease alone does not fence). It expires by the boot-time
clock, which runs while the machine sleeps and which nobody can set.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from wsdash.backend.system.processes import ProcessIdentity, boot_id

LEASE_NAME = "reconciler"
LEASE_S = 45.0
"""A holder that has died is noticed at once; this is for one that was stopped or hangs."""
RENEW_S = 15.0
"""Each poll renews the lease too, so at rest the store is written to once in this time and not twice."""


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
        """Whether its holder may still act: not after it expired, and not once the process is known to be gone."""
        if self.holder.boot_id != boot_id():
            return False
        return now < self.expires_at and self.holder.is_alive()


def lease_of(row: sqlite3.Row) -> Lease:
    """Return the lease of a row."""
    holder = ProcessIdentity(row["pid"], row["pid_start"], row["boot_id"])
    return Lease(row["token"], row["owner"], holder, row["expires_at"], row["version"])
