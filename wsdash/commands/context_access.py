"""Sets up the way by which jobs of a new context connect to this machine, as a part of `wsdash context add`."""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import suppress
from typing import TYPE_CHECKING

from wsdash.commands.console import can_ask, print_stderr
from wsdash.config.settings import Access, load_config
from wsdash.paths import PathError, Paths

if TYPE_CHECKING:
    from wsdash.backend.providers.types import Finding

NONE = "-"
"""The answer that sets up no way."""


def chosen_host(args: Namespace, access: Access, url: str) -> str | None:
    """Return this machine's name as runners see it: given, or chosen on a terminal; None leaves the setting as it is.

    `--yes` takes the first proposal.
    """
    if args.no_access or args.access_host is not None:
        return None if args.no_access else str(args.access_host)
    if access.host is not None or not can_ask():
        return None
    from wsdash.backend.operations.check_access import proposals

    found = proposals(url)
    if args.yes:
        return found[0] if found else None
    print_stderr("You enter a workspace through a connection that its job opens to this machine.")
    print_stderr("By which name or address can the runners reach this machine?")
    for name in found:
        print_stderr(f"  {name}")
    first = f" [{found[0]}]" if found else ""
    print(f"Name of this machine{first}, or {NONE} for no way in: ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip() or (found[0] if found else NONE)
    return None if answer == NONE else answer


def try_way(name: str, paths: Paths) -> tuple[str | None, list[Finding]]:
    """Start the relay and connect to it as a job of the context does. Return the machine's name and the findings.

    The relay ends by itself if no job needs it. Raises `ConfigError`.
    """
    from wsdash.backend.access.relay_client import RelayClient
    from wsdash.backend.operations import check_access
    from wsdash.backend.providers.types import Finding

    access = load_config(paths.config_file).access
    if access.host is None:
        return None, [
            Finding(
                "warning",
                f"workspaces in {name} cannot be entered: their jobs do not know the address of this machine",
                f"`wsdash context add {name} --access-host HOST` sets it.",
            )
        ]
    client = RelayClient(paths, access)
    with suppress(OSError, PathError):  # the findings name the reason
        client.ensure_running()
    try:
        return access.host, list(check_access.findings(client, access.bind, [name]))
    except (OSError, PathError) as error:
        return access.host, [Finding("blocked", f"the relay cannot be started: {error}", "")]
