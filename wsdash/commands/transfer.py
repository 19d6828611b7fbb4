"""The verbs that move workspaces between contexts and machines: export, import."""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError
from wsdash.commands.console import DONE, USAGE, print_json, print_stderr
from wsdash.commands.progress import wait_showing
from wsdash.commands.run_service import with_service
from wsdash.config.settings import load_config
from wsdash.model import Phase
from wsdash.paths import Paths
from wsdash.sanitize import one_line

if TYPE_CHECKING:
    from wsdash.backend.operations.transfer import Exported
    from wsdash.backend.service import Service
    from wsdash.backend.store.reader import WorkspaceRow

STDIN, STDOUT = 0, 1
SHOWN = 10
"""The number of file names that are printed; the rest is counted."""
AT_REST = frozenset({Phase.STOPPED})
ENDED = frozenset({Phase.STOPPED, Phase.FAILED})
"""Phases in which no job changes the files."""


def export(args: Namespace, paths: Paths) -> int:
    """Copy a workspace into an archive."""
    if args.file == "-" and os.isatty(STDOUT):
        raise UserError(
            "an archive cannot be printed on a terminal", "Give a FILE, or pipe the output.", USAGE
        )
    file = STDOUT if args.file == "-" else Path(args.file)
    done = with_service(paths, lambda service: _export(service, args, file))
    name = done.workspace.name
    _print_names(done.packed.skipped, "was left out: it is not a file, folder or link")
    _print_names(done.packed.changed, "changed while it was copied")
    if args.file == "-":
        print_stderr(f"{name} is exported ({megabytes(done.size)}).")
    else:
        print(f"{name} is exported to {args.file} ({megabytes(done.size)}).")
    return DONE


async def _export(service: Service, args: Namespace, file: Path | int) -> Exported:
    row = await service.queries.row((await service.queries.find(args.name)).id)
    if service.queries.folder(row.workspace) is None:
        return await _export_from_job(service, args, row, file)
    if args.stop:
        if row.status.phase is not Phase.STOPPED:
            await service.lifecycle.stop(row.workspace.id)
            await service.daemon.ensure_reconciler()
        await wait_showing(service, row.workspace, AT_REST, args.timeout)
    elif row.status.phase not in ENDED:
        print_stderr(
            f"{row.workspace.name} is {row.status.phase}: its files are copied while they may change"
            " (--stop stops it first)."
        )
    return await _copy(service, args, row, file)


async def _export_from_job(
    service: Service, args: Namespace, row: WorkspaceRow, file: Path | int
) -> Exported:
    """Export files that only the job has: they are copied before `--stop` ends it."""
    print_stderr(f"{row.workspace.name} is {row.status.phase}: its files are copied while they may change.")
    done = await _copy(service, args, row, file)
    if args.stop:
        await service.lifecycle.stop(row.workspace.id)
        await service.daemon.ensure_reconciler()
        await wait_showing(service, row.workspace, AT_REST, args.timeout)
    return done


async def _copy(service: Service, args: Namespace, row: WorkspaceRow, file: Path | int) -> Exported:
    with Progress("copied") as progress:
        return await service.transfer.export_workspace(
            row.workspace.id, file, force=args.force, progress=progress
        )


def import_(args: Namespace, paths: Paths) -> int:
    """Make a workspace from an archive."""
    if args.file == "-" and os.isatty(STDIN):
        raise UserError("there is no archive on standard input", "Give a FILE, or pipe one in.", USAGE)
    row = with_service(paths, lambda service: _import(service, args, paths))
    name = row.workspace.name
    if args.json:
        from wsdash.commands.json_output import row_json

        print_json(row_json(row, paths))
        return DONE
    print(f"{name} is imported: {row.status.phase} ({one_line(row.status.reason)})")
    if not args.start:
        print_stderr(f"`wsdash show {name}` shows it, `wsdash start {name}` starts it.")
    return DONE


async def _import(service: Service, args: Namespace, paths: Paths) -> WorkspaceRow:
    from wsdash.backend.operations.transfer import ImportRequest

    file = STDIN if args.file == "-" else Path(args.file)
    context = args.context or load_config(paths.config_file).default_context
    with Progress("read") as progress:
        workspace = await service.transfer.import_workspace(
            ImportRequest(file, args.name, context, args.start), progress=progress
        )
    if args.start:
        await service.daemon.ensure_reconciler()
    return await service.queries.row(workspace.id)


class Progress:
    """Shows the number of copied bytes on one line of a terminal, after the first second."""

    FIRST_S = 1.0
    AGAIN_S = 0.2

    def __init__(self, done: str) -> None:
        self._done = done
        self._is_shown = sys.stderr.isatty()
        self._next = time.monotonic() + self.FIRST_S
        self._has_shown = False

    def __enter__(self) -> Progress:
        return self

    def __call__(self, count: int) -> None:
        """Show the number of bytes copied so far, if it is time to."""
        if self._is_shown and time.monotonic() >= self._next:
            self._next = time.monotonic() + self.AGAIN_S
            self._has_shown = True
            print(f"\r{megabytes(count)} {self._done} ... ", end="", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self._has_shown:
            print(file=sys.stderr, flush=True)


def megabytes(count: int) -> str:
    """Return a number of bytes in kB or MB (powers of 1000)."""
    return f"{count / 1_000_000:,.1f} MB" if count >= 100_000 else f"{count / 1000:,.1f} kB"


def _print_names(names: Sequence[str], what: str) -> None:
    for name in names[:SHOWN]:
        print_stderr(f"wsdash: {one_line(name)} {what}")
    if len(names) > SHOWN:
        print_stderr(f"wsdash: and {len(names) - SHOWN} more")
