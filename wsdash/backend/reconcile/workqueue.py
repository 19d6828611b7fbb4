"""A queue of keys for several workers: one worker per key at a time, urgent keys first.

A key that is added while it is queued or processed is processed once more, however often it was
added: signals coalesce (the idea is that of Kubernetes' client-go workqueue).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict


class WorkQueue:
    """Keys to process. For use on one event loop."""

    def __init__(self) -> None:
        self._urgent: OrderedDict[str, None] = OrderedDict()
        self._normal: OrderedDict[str, None] = OrderedDict()
        self._in_work: set[str] = set()
        self._again: dict[str, bool] = {}
        self._available = asyncio.Event()

    def add(self, key: str, *, urgent: bool = False) -> None:
        """Queue the key. Urgent keys come before all others."""
        if key in self._in_work:
            self._again[key] = self._again.get(key, False) or urgent
            return
        if urgent:
            self._normal.pop(key, None)
            self._urgent.setdefault(key)
        elif key not in self._urgent:
            self._normal.setdefault(key)
        self._available.set()

    async def take(self) -> str:
        """Return the next key. The caller must call `done` with it."""
        while True:
            for waiting in (self._urgent, self._normal):
                if waiting:
                    key, _ = waiting.popitem(last=False)
                    self._in_work.add(key)
                    return key
            self._available.clear()
            await self._available.wait()

    def done(self, key: str) -> None:
        """Release the key; it is queued again if it was added while it was processed."""
        self._in_work.discard(key)
        if key in self._again:
            self.add(key, urgent=self._again.pop(key))

    def is_idle(self) -> bool:
        """Whether no key is queued or being processed."""
        return not (self._urgent or self._normal or self._in_work)
