"""`wsdash connect`: what `ssh NAME.wsdash` runs where no job of a GitLab holds a line that it could take at once."""

from __future__ import annotations

import asyncio
import socket
from argparse import Namespace
from contextlib import closing
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError
from wsdash.commands.inside import wait_until_entered
from wsdash.commands.output import DONE
from wsdash.commands.serving import with_service
from wsdash.paths import Paths

if TYPE_CHECKING:
    from wsdash.backend.service import Service


def connect(args: Namespace, paths: Paths) -> int:
    """Wait for a workspace that starts, and hand a connection to it over to ssh, which is standard output."""
    from wsdash.backend.access.connect import hand_over

    name = args.name.removesuffix(".wsdash")
    with closing(with_service(paths, lambda service: _line(service, paths, name, args.timeout))) as line:
        hand_over(line)
    return DONE


async def _line(service: Service, paths: Paths, name: str, timeout_s: float) -> socket.socket:
    """Raises `UserError`."""
    from wsdash.backend.access.folders import AccessFolder
    from wsdash.backend.access.local_server import serve

    workspace = (await wait_until_entered(service, name, timeout_s)).workspace
    folder = AccessFolder.of(paths)
    if not (await service.shell(workspace.id)).by_line:  # which waits for a line, where it is one
        return await asyncio.to_thread(serve, folder, workspace.id, workspace.name)
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.connect(str(folder.socket(workspace.id)))
    except OSError as error:
        line.close()
        raise UserError(f"{name} has let go of its line", "Try again: its job dials by itself.") from error
    return line
