"""`wsdash ports --forward`, `--all` and `--open`: ports of a workspace on this machine until ctrl+c."""

from __future__ import annotations

import asyncio
import errno
import getpass
import os
import signal
import socket as sockets
from argparse import Namespace
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError
from wsdash.backend.job.web_editor import has_display, laptop_line
from wsdash.backend.system.clipboard import copy
from wsdash.commands.console import DONE, FAILED, USAGE, print_stderr
from wsdash.commands.ssh import number_of, once_entered
from wsdash.sanitize import one_line

if TYPE_CHECKING:
    from wsdash.backend.job.ports import Ports
    from wsdash.backend.service import Service

HERE = "127.0.0.1"
UP_S = 15.0
STEP_S = 0.1
ANSWER_S = 1.0
"""The time within which a connection is closed again if nothing listens at its other end."""
MOST_PATH_BYTES = 107
"""The longest path of a Unix socket, without the final zero (unix(7))."""


@dataclass(frozen=True, slots=True)
class Forward:
    """A port of the workspace, and the address or socket of this machine that forwards to it."""

    number: int
    where: str

    @property
    def shown(self) -> str:
        """The address as it is printed."""
        return self.where if self.where.startswith("/") else f"http://{self.where}"


async def forward(service: Service, args: Namespace, found: Ports | None) -> int:
    """Forward one port, or all those that were `found`, until ctrl+c. Raises `UserError` if one cannot be."""
    workspace = await service.queries.find(args.name)
    is_local = service.queries.folder(workspace) is not None
    if found is not None:
        if is_local:
            hint = f"Its ports are at {HERE} itself; `wsdash ports {workspace.name}` lists them."
            raise UserError(f"{workspace.name} runs on this machine", hint)
        wanted = _every(found, workspace.name)
    else:
        wanted = [_wanted(args)]
        if is_local and args.open:
            _open_page(wanted[0].number, f"{HERE}:{wanted[0].number}")
            return DONE
        if not is_local:
            wanted = [_or_another(wanted[0]) if args.open and ":" not in args.forward else wanted[0]]
            check_free(wanted[0])
    async with AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(_Ssh(service, args, one, workspace.name)) for one in wanted
        ]
        for ssh in running:
            ssh.tell()
        if args.open:
            _open_page(wanted[0].number, wanted[0].where)
        if not args.socket:
            print_stderr("All users of this machine can use it; with --socket PATH only you can.")
        return await _until_one_ends(running, workspace.name)


def port_of(text: str) -> tuple[int, int]:
    """Return the port of the workspace and of this machine that `PORT[:HERE]` names. Raises `UserError`."""
    number, _, local = text.partition(":")
    ports = [int(part) if part.isascii() and part.isdecimal() else 0 for part in (number, local or number)]
    if not all(0 < port < 65536 for port in ports):
        hint = "Write 8080, or 8080:9090 for the port 9090 of this machine."
        raise UserError(f"{text} is not a port", hint, USAGE)
    return ports[0], ports[1]


def _wanted(args: Namespace) -> Forward:
    number, local = port_of(args.forward)
    return Forward(number, str(Path(args.socket).absolute()) if args.socket else f"{HERE}:{local}")


def check_free(wanted: Forward) -> None:
    """Raise `UserError` if ssh could not listen at the address or the path of this machine."""
    where = wanted.where
    if where.startswith("/"):
        if len(os.fsencode(where)) > MOST_PATH_BYTES:
            raise UserError(
                f"the path of the socket is longer than {MOST_PATH_BYTES} bytes",
                "Choose a shorter one, such as in the folder that XDG_RUNTIME_DIR names.",
            )
        if not Path(where).parent.is_dir():
            raise UserError(f"{Path(where).parent} is not a folder", "Create it, or choose another path.")
        if Path(where).exists() and (not Path(where).is_socket() or _listens(where)):
            raise UserError(f"{where} is used by something else", "Remove it, or choose another path.")
        return
    port = int(where.rpartition(":")[2])
    try:
        sockets.create_server((HERE, port)).close()
    except OSError as error:
        remedy = f"Choose another with :HERE, as in --forward {wanted.number}:{free_port()}."
        if error.errno == errno.EACCES:
            raise UserError(f"you may not listen on port {port} of this machine", remedy) from error
        raise UserError(f"port {port} of this machine is used by another program", remedy) from error


def _listens(path: str) -> bool:
    with sockets.socket(sockets.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def free_port() -> int:
    """Return a port of this machine that no program uses now."""
    with sockets.create_server((HERE, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _or_another(wanted: Forward) -> Forward:
    """Return it, or with another port of this machine if its own cannot be used."""
    try:
        check_free(wanted)
    except UserError as error:
        if wanted.where.startswith("/"):
            raise
        wanted = Forward(wanted.number, f"{HERE}:{free_port()}")
        print_stderr(f"{error.message[0].upper()}{error.message[1:]}: {wanted.shown} takes its place.")
    return wanted


def _every(ports: Ports, name: str) -> list[Forward]:
    """Return a forward for each port that is declared or listens, on another local port where its own is taken."""
    found = []
    for port in ports.ports:
        if port.declared is not None and port.declared.protocol == "udp":
            print_stderr(f"Port {port.number} is not forwarded: ssh forwards no UDP.")
            continue
        found.append(_or_another(Forward(port.number, f"{HERE}:{port.number}")))
    if not found:
        raise UserError(
            f"{name} has no ports to forward: its devfile declares none, and nothing listens",
            f"`wsdash ports {name} --forward PORT` forwards a port before something listens on it.",
        )
    return found


class _Ssh:
    """The ssh that forwards one port. Entering waits until it listens here."""

    def __init__(self, service: Service, args: Namespace, forward: Forward, name: str) -> None:
        self._service, self._args, self.forward, self._name = service, args, forward, name
        self._lines: list[str] = []
        self._is_up = self.is_answered = False

    async def __aenter__(self) -> _Ssh:
        service, where, number = self._service, self.forward.where, self.forward.number
        workspace = await service.queries.find(self._args.name)
        if service.queries.folder(workspace) is not None:
            command = await service.access.forwarding(workspace.id, where, number)
        else:
            command = await once_entered(
                service,
                workspace.id,
                self._args.timeout,
                lambda row: service.access.forwarding(
                    row.workspace.id, where, number, attempt=number_of(row)
                ),
            )
        self.process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        self._pump = asyncio.create_task(self._read())
        try:
            await self._wait_up()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            self.process.terminate()
        await self.process.wait()
        await self._pump
        if self.forward.where.startswith("/"):
            await asyncio.to_thread(Path(self.forward.where).unlink, missing_ok=True)

    def tell(self) -> None:
        """Say that it forwards, or that nothing listens in the workspace."""
        one, name = self.forward, self._name
        if self.is_answered:
            print_stderr(f"{one.shown} forwards to port {one.number} of {name} until ctrl+c.")
        else:
            print_stderr(f"Nothing listens on port {one.number} of {name} yet; {one.shown} forwards to it.")

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            text = one_line(line.decode(errors="replace"))
            if self._is_up:
                print_stderr(text)
            elif text:
                self._lines.append(text)

    async def _wait_up(self) -> None:
        """Wait until it listens here, which ssh does once it is logged in. Raises `UserError`."""
        end = asyncio.get_running_loop().time() + UP_S
        while self.process.returncode is None and asyncio.get_running_loop().time() < end:
            answer = await _answer(self.forward.where)
            if answer is not None and self.process.returncode is None:
                self._is_up, self.is_answered = True, answer
                return
            await asyncio.sleep(STEP_S)
        name = self._name
        if self.process.returncode is not None:
            await self._pump
        why = f": {self._lines[-1]}" if self._lines else ""
        raise UserError(
            f"port {self.forward.number} of {name} cannot be forwarded{why}",
            f"`wsdash ssh {name}` shows whether its job can be reached.",
        )


async def _answer(where: str) -> bool | None:
    """Whether a connection stays open, as it does if something listens in the workspace. None: ssh does not listen."""
    try:
        if where.startswith("/"):
            reader, writer = await asyncio.open_unix_connection(where)
        else:
            reader, writer = await asyncio.open_connection(HERE, int(where.rpartition(":")[2]))
    except OSError:
        return None
    try:
        async with asyncio.timeout(ANSWER_S):
            return bool(await reader.read(1))
    except TimeoutError:
        return True
    except OSError:
        return False
    finally:
        writer.close()


async def _until_one_ends(running: Sequence[_Ssh], name: str) -> int:
    """Wait until one ssh ends, or a signal asks this process to end. Return the exit code."""
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    waits = [asyncio.create_task(asked.wait()), *(asyncio.create_task(ssh.process.wait()) for ssh in running)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    if asked.is_set():
        return DONE
    print_stderr(f"The connection to {name} is lost, so its ports are no longer forwarded.")
    return FAILED


def _open_page(number: int, where: str) -> None:
    """Open the page in a browser, or give the ssh command for the machine that the user sits at."""
    if has_display(os.environ) and not where.startswith("/"):
        import webbrowser

        if not webbrowser.open(f"http://{where}/"):
            print_stderr(f"No browser could be opened: http://{where}/")
        return
    line = laptop_line(where, getpass.getuser(), os.environ, sockets.gethostname(), port=number)
    print(f"On your own machine, run\n\n    {line}\n\nand open http://localhost:{number}/", flush=True)
    if os.isatty(1):
        print(copy(line, "the command", os.environ), flush=True)
