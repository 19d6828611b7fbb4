"""`wsdash update`: applies the current devfile of a workspace, after showing the changes."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from wsdash.backend.errors import NotSaved, UserError
from wsdash.commands.console import DONE, FAILED, USAGE, ask, can_ask, coloured, print_stderr
from wsdash.commands.create import print_remarks, show_progress
from wsdash.commands.lifecycle import accept
from wsdash.commands.progress import wait_showing
from wsdash.commands.run_service import with_service
from wsdash.model import Desired, Phase
from wsdash.paths import Paths
from wsdash.sanitize import one_line, printable

if TYPE_CHECKING:
    from wsdash.backend.service import Service, Update

COLOURS = {"+": 32, "-": 31, "@": 36}


def update(args: Namespace, paths: Paths) -> int:
    """Show what an update of the devfile changes, ask, and apply it."""
    found = with_service(paths, lambda service: _look(service, args))
    preview = found.preview
    if not found.changes:
        print(f"{preview.name} already runs its current devfile.")
        return DONE
    print_remarks(preview)
    for line in found.changes:
        print(_shown(line))
    sys.stdout.flush()
    if not args.yes:
        if not can_ask():
            raise UserError("update asks first, and there is no terminal to ask on", "Add --yes.", USAGE)
        if not ask(f"Apply this? The work of {preview.name} is saved, and its job is replaced."):
            print_stderr("Nothing was changed.")
            return FAILED
    try:
        return with_service(paths, lambda service: _update(service, found, args, unsaved=False))
    except NotSaved as error:
        accept(error, "update", force=args.force)
        return with_service(paths, lambda service: _update(service, found, args, unsaved=True))


async def _look(service: Service, args: Namespace) -> Update:
    from wsdash.backend.service import CreateRequest

    choices = CreateRequest(None, main=args.component, image=args.image, secrets=tuple(args.secret))
    return await service.updates.preview_update(
        (await service.queries.find(args.name)).id, choices, show_progress
    )


def _shown(line: str) -> str:
    text = printable(line)
    colour = COLOURS.get(line[:1])
    return f"\x1b[{colour}m{text}\x1b[0m" if colour and coloured(sys.stdout) else text


async def _update(service: Service, update: Update, args: Namespace, *, unsaved: bool) -> int:
    workspace = await service.updates.update(update, unsaved=unsaved)
    if workspace.desired is not Desired.RUNNING:
        print(f"{workspace.name} uses it from its next start on.")
        return DONE
    await service.daemon.ensure_reconciler()
    if not args.wait:
        print_stderr(
            f"{workspace.name}: update is requested (`wsdash show {workspace.name}` shows the progress)."
        )
        return DONE
    row = await wait_showing(service, workspace, frozenset({Phase.RUNNING, Phase.FAILED}), args.timeout)
    if row.status.phase is Phase.FAILED:
        raise UserError(
            f"{workspace.name} failed: {one_line(row.status.reason)}",
            f"`wsdash logs {workspace.name}` shows why.",
        )
    print(f"{workspace.name} runs its current devfile.")
    return DONE
