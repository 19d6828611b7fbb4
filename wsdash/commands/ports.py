"""`wsdash ssh-config` and `wsdash ports`: access to a workspace by ssh and by its ports."""

from __future__ import annotations

import codecs
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError, WsdashError
from wsdash.backend.job.ports import listens
from wsdash.backend.system.files import atomic
from wsdash.commands.console import DONE, FAILED, USAGE, ask, can_ask, print_json, print_stderr, print_table
from wsdash.model import Desired, Phase
from wsdash.paths import Paths
from wsdash.sanitize import one_line

if TYPE_CHECKING:
    from wsdash.backend.job.ports import OpenPort, Ports
    from wsdash.backend.service import Service
    from wsdash.backend.store.reader import WorkspaceRow


def ssh_config(args: Namespace, paths: Paths) -> int:
    """Print wsdash's part of the ssh configuration, or include it in `~/.ssh/config`, or remove that line."""
    from wsdash.backend.access.keys import make_keys
    from wsdash.backend.access.paths import AccessFolder
    from wsdash.backend.access.ssh.config import stanza, with_include, without_include
    from wsdash.backend.access.ssh.files import in_the_way, overridden_by, own_login, renew, write_stanza

    if args.action == "remote":
        from wsdash.commands.remote_machine import print_remote

        return print_remote(paths)
    folder = AccessFolder.of(paths)
    if args.action == "show":
        print(stanza(folder, own_login()), end="")
        return DONE
    own = Path.home() / ".ssh" / "config"
    included = folder.ssh_config
    before = _read(own)
    if args.action == "uninstall":
        after = without_include(before, included)
        if after != before:
            _replace(own, after)
        with suppress(FileNotFoundError):
            included.unlink()
        print(f"{own} no longer includes the configuration of wsdash.")
        return DONE
    make_keys(folder)
    after = with_include(before, included)
    if after != before:
        print_stderr(f"This line is added at the top of {own}: Include {included}")
        if not args.yes and not can_ask():
            raise UserError("there is no terminal to ask on", "Add --yes.", USAGE)
        if not args.yes and not ask("Add it?"):
            print_stderr("Nothing was changed.")
            return FAILED
    write_stanza(folder)
    renew(folder)
    if after != before:
        _replace(own, after)
    if found := overridden_by(own, folder):
        raise UserError(
            f"{own} includes wsdash's lines, but something before them has the last word: {in_the_way(found)}",
            "Remove it, or except *.wsdash from it (`Host * !*.wsdash`). `ssh -G any-name.wsdash` shows what counts.",
        )
    print("`ssh NAME.wsdash` opens a shell in a workspace; scp, rsync and editors use the same name.")
    return DONE


def ports(args: Namespace, paths: Paths) -> int:
    """List the ports of the devfile and those with a listening process; or forward a port until ctrl+c."""
    from wsdash.commands.run_service import with_service

    if args.all or args.forward is not None:
        return _forward_until_ended(args, paths)
    if args.open or args.socket:
        raise UserError("--open and --socket need --forward PORT", "Add the port.", USAGE)
    found = with_service(paths, lambda service: _ports(service, args.name, args.timeout))
    _show(found, json=args.json)
    return DONE


def _forward_until_ended(args: Namespace, paths: Paths) -> int:
    from wsdash.commands.forward import forward, port_of
    from wsdash.commands.run_service import with_service

    if args.all and (args.forward is not None or args.open or args.socket):
        raise UserError("--all takes no --forward, --open or --socket", "Leave one of them out.", USAGE)
    if not args.all:
        port_of(args.forward)

    async def run(service: Service) -> int:
        found = await _ports(service, args.name, args.timeout) if args.all else None
        return await forward(service, args, found)

    return with_service(paths, run)


async def _ports(service: Service, name: str, timeout_s: float) -> Ports:
    """List the ports. If the desired state is running, wait as `ssh` does; otherwise only the devfile is read."""
    from wsdash.backend.providers.errors import NotRunning
    from wsdash.commands.ssh import ENTERED, number_of, once_entered

    async def ask(row: WorkspaceRow) -> Ports:
        found = await service.access.ports(row.workspace.id)
        if found.is_known:
            return found
        if row.status.phase not in ENTERED:
            raise NotRunning(f"the job of {name} does not answer", f"`wsdash why {name}` explains it.")
        try:
            await service.access.shell(row.workspace.id, attempt=number_of(row))  # waits for its tunnel
        except NotRunning:
            raise
        except WsdashError as error:
            print_stderr(f"{one_line(error.message)}, so only the ports of its devfile are listed.")
            return found
        return await service.access.ports(row.workspace.id)

    row = await service.queries.row((await service.queries.find(name)).id)
    if row.workspace.desired is not Desired.RUNNING or row.status.phase is Phase.FAILED:
        return await service.access.ports(row.workspace.id)
    return await once_entered(service, row.workspace.id, timeout_s, ask)


def _show(found: Ports, *, json: bool) -> None:
    if json:
        print_json([_plain(port, is_known=found.is_known) for port in found.ports])
        return
    if not found.ports:
        print_stderr(
            "Its devfile declares no ports, and none of its processes listens on one."
            if found.is_known
            else "Its devfile declares no ports."
        )
    print_table(
        ("PORT", "NAME", "PROTOCOL", "EXPOSURE", "PATH", "LISTENS"),
        [
            (
                str(port.number),
                one_line(port.declared.name) if port.declared else "",
                port.declared.protocol if port.declared else "",
                port.declared.exposure if port.declared else "",
                one_line(port.declared.path) if port.declared else "",
                listens(port, is_known=found.is_known),
            )
            for port in found.ports
        ],
    )


def _plain(port: OpenPort, *, is_known: bool) -> dict[str, object]:
    declared, listener = port.declared, port.listener
    return {
        "name": declared.name if declared else None,
        "port": port.number,
        "protocol": declared.protocol if declared else None,
        "exposure": declared.exposure if declared else None,
        "path": declared.path if declared else None,
        "declared": declared is not None,
        "listening": None if not is_known else listener is not None,
        "program": listener.program if listener else None,
        "loopback": listener.loopback if listener else None,
    }


def _read(file: Path) -> str:
    """Return the text as it is, with its line ends and bytes of other encodings. Raises `UserError`."""
    try:
        found = file.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}", "Fix its permissions.") from error
    if b"\0" in found or found.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{file} cannot be read: it is not text that ssh reads", "Save it as UTF-8.")
    return found.decode("utf-8", "surrogateescape")


def _replace(file: Path, text: str) -> None:
    """Write the file atomically, through a symbolic link and with the mode that it has. Raises `UserError`."""
    try:
        target = file.resolve()
        target.parent.mkdir(mode=0o700, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
        atomic.write(target, text.encode("utf-8", "surrogateescape"), mode=mode, durable=True)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}", "Fix its permissions.") from error
