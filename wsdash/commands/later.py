"""Verbs that the command line has a place for, and that need GitLab or the relay, which come later."""

from __future__ import annotations

from argparse import Namespace

from wsdash.backend.errors import UserError
from wsdash.paths import Paths

INSTEAD = {
    "open": "`wsdash ssh NAME` opens a shell in a workspace.",
}


def not_available(args: Namespace, paths: Paths) -> int:
    raise UserError(f"`wsdash {args.verb}` is not available yet", INSTEAD[args.verb])
