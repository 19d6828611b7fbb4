"""`wsdash open`: opens the workspace's editor in a browser, here or on the user's own machine."""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
import socket as sockets
import sys
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError
from wsdash.backend.job.web_editor import PORT, Editor, has_display, laptop_line
from wsdash.backend.system.clipboard import copy
from wsdash.commands.console import DONE, FAILED, print_json, print_stderr
from wsdash.commands.run_service import with_service
from wsdash.commands.ssh import number_of, once_entered
from wsdash.paths import Paths

if TYPE_CHECKING:
    from wsdash.backend.service import Service
    from wsdash.backend.store.reader import WorkspaceRow
    from wsdash.model import Workspace

UP_S = 15.0
HERE = "127.0.0.1"


def open_editor(args: Namespace, paths: Paths) -> int:
    """Start the editor unless it runs, and open or print its address. Runs until ctrl+c if it has to forward a port."""
    return with_service(paths, lambda service: _open(service, args, paths))


async def _open(service: Service, args: Namespace, paths: Paths) -> int:
    from wsdash.backend.access.paths import AccessFolder

    async def ask(row: WorkspaceRow) -> tuple[Workspace, Editor]:
        print_stderr(f"{row.workspace.name}: starting its editor ...")
        return row.workspace, await service.access.editor(row.workspace.id, attempt=number_of(row))

    meant = await service.queries.find(args.name)
    workspace, editor = await once_entered(service, meant.id, args.timeout, ask)
    shown = has_display(os.environ) and not args.json
    folder = AccessFolder.of(paths)
    folder.prepare()
    socket = str(folder.sockets / f"{workspace.id}.editor")
    where = f"{HERE}:{_free_port()}" if shown else socket
    way = await service.access.way_to(workspace.id, editor.socket, where)
    if isinstance(way, str) and not shown:
        await asyncio.to_thread(_link, Path(socket), way)
        _explain(workspace.name, editor, socket, json=args.json)
        return DONE
    if isinstance(way, str):
        await asyncio.to_thread(_link, Path(socket), way)
        return await _shown_from(socket, where, workspace.name, editor)
    process = await asyncio.create_subprocess_exec(*way, stdin=asyncio.subprocess.DEVNULL)
    try:
        if not await _is_up(where, process):
            raise UserError(
                f"the editor of {workspace.name} cannot be reached",
                f"`wsdash ssh {workspace.name}` shows whether its job can be reached.",
            )
        if shown:
            _show(where, workspace.name, editor)
        else:
            _explain(workspace.name, editor, socket, json=args.json)
        print_stderr("It can be reached until ctrl+c.")
        return await _until_ended(process)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        if where == socket:
            await asyncio.to_thread(Path(socket).unlink, missing_ok=True)


async def _until_ended(process: asyncio.subprocess.Process) -> int:
    """Wait until the forwarding ends or a signal asks this process to end, so that no ssh and no socket remain."""
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    waits = [asyncio.create_task(process.wait()), asyncio.create_task(asked.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    return DONE if asked.is_set() or process.returncode == 0 else FAILED


def _link(socket: Path, target: str) -> None:
    """Make a short name for the socket: the path of a Unix socket may have about a hundred characters only."""
    socket.unlink(missing_ok=True)
    socket.symlink_to(target)


def _explain(name: str, editor: Editor, socket: str, *, json: bool) -> None:
    """Print the ssh command to run on the user's own machine, and copy it to that machine's clipboard (OSC 52)."""
    line = laptop_line(socket, getpass.getuser(), os.environ, sockets.gethostname())
    address = f"http://localhost:{PORT}{editor.path}"
    if json:
        print_json(
            {"name": name, "socket": socket, "ssh": line, "address": address, "password": editor.password}
        )
        sys.stdout.flush()
        return
    print(f"The editor of {name} is at {socket}, which only you can use. On your own machine, run")
    print(f"\n    {line}\n")
    print(f"and open {address}")
    if editor.password:
        print(f"It asks for the password {editor.password}")
    if sys.stdout.isatty():
        print(copy(line, "the command", os.environ))
    sys.stdout.flush()


def _show(where: str, name: str, editor: Editor) -> None:
    import webbrowser

    address = f"http://{where}{editor.path}"
    if not webbrowser.open(address):
        print_stderr("No browser could be opened.")
    print(f"The editor of {name}: {address}")
    if editor.password:
        print(f"It asks for the password {editor.password}")
    print_stderr("All users of this machine can reach that port; the password keeps them out.")
    sys.stdout.flush()


async def _shown_from(socket: str, where: str, name: str, editor: Editor) -> int:
    """Forward a local TCP port to the editor's Unix socket, which browsers cannot open."""

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_unix_connection(socket)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))

    host, _, port = where.rpartition(":")
    server = await asyncio.start_server(lead, host, int(port))
    _show(where, name, editor)
    print_stderr("It can be reached until ctrl+c.")
    async with server:
        await server.serve_forever()
    return DONE


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()


async def _is_up(where: str, process: asyncio.subprocess.Process) -> bool:
    end = asyncio.get_running_loop().time() + UP_S
    while asyncio.get_running_loop().time() < end and process.returncode is None:
        with suppress(OSError):
            host, _, port = where.rpartition(":")
            opening = (
                asyncio.open_unix_connection(where)
                if where.startswith("/")
                else asyncio.open_connection(host, int(port))
            )
            _, writer = await opening
            writer.close()
            return True
        await asyncio.sleep(0.1)
    return False


def _free_port() -> int:
    with sockets.create_server((HERE, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
