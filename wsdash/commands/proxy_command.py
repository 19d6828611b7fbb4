"""`wsdash connect`: run by `ssh NAME.wsdash` unless an open tunnel of a GitLab job can be used at once."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from wsdash.backend.errors import UserError
from wsdash.commands.console import print_stderr
from wsdash.commands.errors import fail
from wsdash.commands.run_service import with_service
from wsdash.commands.ssh import number_of, once_entered
from wsdash.paths import Paths

if TYPE_CHECKING:
    from wsdash.backend.providers.types import ShellCommand
    from wsdash.backend.service import Service
    from wsdash.backend.store.reader import WorkspaceRow
    from wsdash.model import Workspace


def connect(args: Namespace, paths: Paths) -> NoReturn:
    """Wait until the workspace runs, then become the process that copies ssh's bytes to it and back."""
    from wsdash.backend.access import proxy_command

    name = args.name.removesuffix(".wsdash")
    try:
        line = with_service(paths, lambda service: _line(service, paths, name, args.timeout))
    except Exception as error:  # ssh prints further lines below, and editors show each line separately
        sys.exit(fail(error, on_one_line=True))
    line.set_inheritable(True)
    carrier = [sys.executable, "-S", "-E", str(Path(proxy_command.__file__)), "--carry", str(line.fileno())]
    os.execv(sys.executable, carrier)


async def _line(service: Service, paths: Paths, name: str, timeout_s: float) -> socket.socket:
    """Return a connected socket to the workspace's SSH server. Raises `UserError`."""
    from wsdash.backend.access.paths import AccessFolder
    from wsdash.backend.access.ssh.local_sshd import serve, why_no_terminal

    async def way_in(row: WorkspaceRow) -> tuple[Workspace, ShellCommand]:
        # For a job of a GitLab this waits for its tunnel.
        return row.workspace, await service.access.shell(row.workspace.id, attempt=number_of(row))

    workspace, command = await once_entered(service, (await service.queries.find(name)).id, timeout_s, way_in)
    folder = AccessFolder.of(paths)
    if not command.by_tunnel:
        if sys.stderr.isatty() and (reason := why_no_terminal()) is not None:
            print_stderr(f"wsdash: {reason}. For a shell use `wsdash ssh {workspace.name}`.")
        return await asyncio.to_thread(serve, folder, workspace.id, workspace.name)
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.connect(str(folder.socket(workspace.id)))
    except OSError as error:
        line.close()
        raise UserError(
            f"{name} has closed its tunnel", "Try again: its job reconnects by itself."
        ) from error
    return line
