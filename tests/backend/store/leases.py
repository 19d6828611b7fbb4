"""Short ways to take the reconciler's lease."""

from __future__ import annotations

from wsdash.backend.store.fenced_store import FencedStore
from wsdash.backend.store.store import Store
from wsdash.backend.system.processes import ProcessIdentity


async def fence(store: Store, now: float = 0.0) -> FencedStore:
    fenced = await FencedStore.acquire(store, "daemon", ProcessIdentity.own(), now)
    assert fenced is not None
    return fenced
