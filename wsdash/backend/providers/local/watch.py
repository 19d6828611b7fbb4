"""Watches for changes as they happen: hints of supervisors, and deaths of supervisors by pidfd."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator

from wsdash.backend.providers.local.layout import Layout
from wsdash.backend.providers.local.supervisor.notify import Listener
from wsdash.backend.system.files import json_files
from wsdash.backend.system.processes import ProcessIdentity


class Watch:
    """The watch of one process; each process has its own."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._changed: set[str] = set()
        self._event = asyncio.Event()
        self._closed = False
        self._pidfds: dict[str, int] = {}

    async def changes(self) -> AsyncIterator[frozenset[str]]:
        """Yield ids of attempts that have just changed, until `close`. Raises OSError if listening fails."""
        loop = asyncio.get_running_loop()
        listener = await asyncio.to_thread(self._listen)
        loop.add_reader(listener.socket, self._hear, listener)
        try:
            self._guard(await asyncio.to_thread(self._open_pidfds, None))
            while True:
                await self._event.wait()
                self._event.clear()
                if self._closed:
                    return
                ids = frozenset(self._changed)
                self._changed.clear()
                self._guard(await asyncio.to_thread(self._open_pidfds, ids))
                yield ids
        finally:
            loop.remove_reader(listener.socket)
            for attempt_id in list(self._pidfds):
                self._let_go(attempt_id)
            listener.close()

    def close(self) -> None:
        """End `changes`."""
        self._closed = True
        self._event.set()

    def _listen(self) -> Listener:
        self._layout.make()
        return Listener(self._layout.listeners, f"{os.getpid()}-{secrets.token_hex(4)}")

    def _hear(self, listener: Listener) -> None:
        self._note(listener.receive())

    def _note(self, attempt_ids: list[str]) -> None:
        self._changed.update(attempt_ids)
        self._event.set()

    def _open_pidfds(self, attempt_ids: frozenset[str] | None) -> dict[str, int]:
        """Return descriptors of the live supervisors that are not watched yet; None checks every job."""
        if attempt_ids is None:
            attempt_ids = frozenset(e.name for e in os.scandir(self._layout.jobs) if e.name[0] != ".")
        found: dict[str, int] = {}
        for attempt_id in attempt_ids - self._pidfds.keys():
            with contextlib.suppress(ValueError, OSError):
                supervisor = ProcessIdentity.from_record(
                    json_files.read(self._layout.job(attempt_id).supervisor)
                )
                if supervisor is not None and supervisor.is_alive():
                    found[attempt_id] = os.pidfd_open(supervisor.pid)
        return found

    def _guard(self, pidfds: dict[str, int]) -> None:
        for attempt_id, descriptor in pidfds.items():
            self._pidfds[attempt_id] = descriptor
            asyncio.get_running_loop().add_reader(descriptor, self._died, attempt_id)

    def _died(self, attempt_id: str) -> None:
        self._let_go(attempt_id)
        self._note([attempt_id])

    def _let_go(self, attempt_id: str) -> None:
        descriptor = self._pidfds.pop(attempt_id)
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
