"""`wsdash` without a verb: the dashboard."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from wsdash.backend.errors import UserError
from wsdash.commands.console import USAGE
from wsdash.config.settings import load_config
from wsdash.paths import Paths


def dashboard(args: Namespace, paths: Paths) -> int:
    """Run the dashboard. Raises `UserError` without a terminal that can draw it."""
    streams = (sys.stdin, sys.stdout, sys.stderr)  # Textual draws on the last
    if not all(stream.isatty() for stream in streams) or os.environ.get("TERM", "dumb") == "dumb":
        raise UserError(
            "the dashboard needs a terminal that can move its cursor, and there is none",
            "`wsdash list` prints the workspaces; `wsdash --help` lists the verbs.",
            USAGE,
        )
    settings = load_config(paths.config_file).dashboard

    from wsdash.app import run

    return run(
        paths,
        ascii=settings.ascii if args.ascii is None else args.ascii,
        mouse=settings.mouse if args.mouse is None else args.mouse,
        theme=args.theme or settings.theme,
    )
