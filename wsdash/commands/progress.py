"""Waits for a phase, and prints the progress meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.commands.console import print_stderr
from wsdash.model import Phase, Workspace
from wsdash.sanitize import one_line

if TYPE_CHECKING:
    from wsdash.backend.service import Service
    from wsdash.backend.store.reader import WorkspaceRow

LOOK_S = 0.25
LOOKS_OF_ONE_RECONCILER = 20
SHOWN_EVENTS = ("provider-error", "in-progress", "leftovers")
"""Kinds of events that are printed: they explain a delay, or ask the user to act."""


async def wait_showing(
    service: Service, workspace: Workspace, phases: frozenset[Phase], timeout_s: float
) -> WorkspaceRow:
    """Wait for one of the phases, and print each new phase or step on standard error.

    Raises `UserError` with exit code 5 after `timeout_s`.
    """
    progress = _Progress()
    showing = asyncio.create_task(_show_changes(service, workspace, progress))
    try:
        row = await service.lifecycle.wait_for(workspace.id, phases, timeout_s)
    finally:
        showing.cancel()
    progress.show(row)
    return row


class _Progress:
    """Prints each phase, and each step of a starting job, once. A changed number of seconds is not printed again."""

    def __init__(self) -> None:
        self._last_shown = ""
        self._problem = ""

    def show(self, row: WorkspaceRow) -> None:
        status = row.status
        key = f"{status.phase} {status.reason if status.phase is Phase.STARTING else ''}"
        if key != self._last_shown:
            print_stderr(f"{row.workspace.name}: {status.phase} ({one_line(status.reason)})")
            self._last_shown = key
        # A problem is printed once while it lasts, and again if it returns.
        problem = row.event.text if row.event is not None and row.event.kind in SHOWN_EVENTS else ""
        if problem and problem != self._problem:
            print_stderr(f"{row.workspace.name}: {one_line(problem)}")
        self._problem = problem


async def _show_changes(service: Service, workspace: Workspace, progress: _Progress) -> None:
    with suppress(NoSuchWorkspace):  # `wait_for` raises it too
        while True:
            for _ in range(LOOKS_OF_ONE_RECONCILER):
                progress.show(await service.queries.row(workspace.id))
                await asyncio.sleep(LOOK_S)
            await service.daemon.ensure_reconciler()  # the previous one may have ended
