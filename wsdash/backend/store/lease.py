"""Who reconciles: one process at a time for each state store.

The lease is a row. Its token grows with every change of hands and stands guard over each write of the
reconciler, so a holder that was paused and replaced changes nothing any more (a lease alone does not
fence). It runs out on the boot-time clock, which goes on while the machine sleeps and which nobody sets.
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
    """Another process reconciles now: stop at once, and change nothing more."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease as the store has it. `owner` says what kind of process holds it: `dashboard`, `daemon`."""

    token: int
    owner: str
    holder: ProcessIdentity
    expires_at: float
    version: str = ""
    """The holder's version of wsdash."""

    def is_held(self, now: float) -> bool:
        """Whether its holder may still act: a process that is known to be gone holds it no longer."""
        if self.holder.boot_id != boot_id():
            return False
        return now < self.expires_at and self.holder.is_alive()


def lease_of(row: sqlite3.Row) -> Lease:
    holder = ProcessIdentity(row["pid"], row["pid_start"], row["boot_id"])
    return Lease(row["token"], row["owner"], holder, row["expires_at"], row["version"])
