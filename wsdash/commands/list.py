"""`wsdash list`: all workspaces and their phases. It loads only what it prints, since scripts run it often."""

from __future__ import annotations

import sys
import time
from argparse import Namespace

from wsdash.backend.rules.recovery_point import words
from wsdash.backend.rules.status import words_for_seconds
from wsdash.commands.console import DONE, fit, phase_sign, print_json, print_table
from wsdash.commands.json_output import row_json
from wsdash.commands.open_reader import reading
from wsdash.paths import Paths

TYPE_CHECKING = False  # as in typing, which the quick verbs do without
if TYPE_CHECKING:
    from wsdash.backend.store.reader import WorkspaceRow


def list_workspaces(args: Namespace, paths: Paths) -> int:
    """Print all workspaces as a table or as JSON."""
    now = time.time()
    with reading(paths) as reader:
        rows = reader.workspaces(now, deleted=args.all, events=False)
    if args.json:
        print_json([row_json(row, paths) for row in rows])
    elif not rows:
        print("No workspaces yet. Create one from a Git repository:\n\n    wsdash create SOURCE\n")
        print("SOURCE is a URL or a folder; without SOURCE, the repository of the current directory is used.")
    else:
        print_table(
            ("NAME", "PHASE", "PROJECT", "AGE", "SAVED", "REASON"),
            [
                (
                    fit(row.workspace.name, 20),
                    phase_sign(row.status.phase, sys.stdout, row.status.condition),
                    fit(_project(row), 16),
                    words_for_seconds(now - row.workspace.created_at),
                    words(row.saved, now),
                    row.status.reason,
                )
                for row in rows
            ],
        )
    return DONE


def _project(row: WorkspaceRow) -> str:
    workspace = row.workspace
    return f"{workspace.project or '-'}{f'@{workspace.ref}' if workspace.ref else ''}"
