"""Waits for a phase, and prints the progress meanwhile."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from wsdash.backend.errors import WsdashError
from wsdash.backend.job.log_text import LogText
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.commands.console import print_stderr
from wsdash.model import Phase, Workspace
from wsdash.sanitize import one_line, printable

if TYPE_CHECKING:
    from wsdash.backend.service import Service
    from wsdash.backend.store.reader import WorkspaceRow

LOOK_S = 0.25
LOOKS_OF_ONE_RECONCILER = 20
OUTPUT_S = 3.0
"""The interval in which the output of a setup is read while waiting for it."""
MOST_LINES = 10
"""The number of last lines of the output that are printed at a time."""
CHUNK = 65536
SHOWN_EVENTS = ("provider-error", "in-progress", "leftovers")
"""Kinds of events that are printed: they explain a delay, or ask the user to act."""


async def wait_showing(
    service: Service,
    workspace: Workspace,
    phases: frozenset[Phase],
    timeout_s: float,
    *,
    shows_output: bool = False,
) -> WorkspaceRow:
    """Wait for one of the phases, and print each new phase or step on standard error.

    With `shows_output` the last lines of a starting job's output are printed too, on a terminal, and the command that
    enters it meanwhile. Raises `UserError` with exit code 5 after `timeout_s`.
    """
    progress = _Progress()
    tasks = [asyncio.create_task(_show_changes(service, workspace, progress))]
    if shows_output and sys.stderr.isatty():
        tasks.append(asyncio.create_task(_show_output(service, workspace)))
    try:
        row = await service.lifecycle.wait_for(workspace.id, phases, timeout_s)
    finally:
        for task in tasks:
            task.cancel()
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


async def _show_output(service: Service, workspace: Workspace) -> None:
    """Print the last lines of a starting job's output, every `OUTPUT_S`."""
    number, offset, text, is_announced = None, 0, LogText(), False
    while True:
        await asyncio.sleep(OUTPUT_S)
        with suppress(NoSuchWorkspace, WsdashError):
            row = await service.queries.row(workspace.id)
            if row.status.phase is not Phase.STARTING or row.attempt is None:
                continue
            if row.attempt.number != number:
                number, offset, text = row.attempt.number, 0, LogText()
            written = b""
            while True:
                chunk = await service.queries.read_log(
                    workspace.id, attempt=number, offset=offset, limit=CHUNK
                )
                if not chunk.data:
                    break
                offset += len(chunk.data)
                written = (written + text.feed(chunk.data))[-CHUNK:]
            lines = printable(written.decode(errors="replace")).splitlines()
            for line in lines[-MOST_LINES:]:
                print_stderr(f"  | {line}")
            if not is_announced:
                name = row.workspace.name
                print_stderr(f"{name}: `wsdash ssh {name} --during-setup` enters it while its setup runs")
                is_announced = True
