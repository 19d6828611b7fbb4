"""`wsdash code`: opens a workspace's folder in a desktop editor, here or on the user's own machine."""

from __future__ import annotations

import getpass
import os
import shlex
import socket
import subprocess
import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.ssh.desktop_editors import DESKTOP_EDITORS, DesktopEditor, Place
from wsdash.backend.access.ssh.files import own_login, reported_logins
from wsdash.backend.errors import UserError
from wsdash.backend.job.web_editor import came_to, has_display
from wsdash.backend.system.clipboard import copy
from wsdash.commands.console import DONE, FAILED, can_ask, print_json, print_stderr
from wsdash.commands.run_service import with_service
from wsdash.commands.ssh import number_of, once_entered
from wsdash.config.settings import load_config
from wsdash.paths import Paths

if TYPE_CHECKING:
    from wsdash.backend.service import Service
    from wsdash.backend.store.reader import WorkspaceRow
    from wsdash.model import Workspace

FIRST = "code"
"""The editor of the printed command where neither `--editor` nor the settings name one."""
STARTS_S = 10.0
"""Seconds in which a program that cannot start has ended. Those of VS Code and Zed end at once also if they succeed."""


def code(args: Namespace, paths: Paths) -> int:
    """Open the folder in an editor of this machine, or print the command for the machine that the user sits at."""
    wanted = args.editor or load_config(paths.config_file).personal.editor
    is_here = has_display(os.environ) and not args.print and not args.json
    found = _on_path(wanted) if is_here else None
    workspace, place = with_service(paths, lambda service: _place(service, args, paths))
    if found is None:
        _explain(workspace.name, place, wanted or FIRST, as_json=args.json)
        return DONE
    host = f"{workspace.name}.wsdash"
    if not _is_configured(host, AccessFolder.of(paths)) and not _configure(paths):
        return FAILED
    editor, program = found
    return _run(editor, editor.argv(Place(host, place.folder), program), workspace.name, paths)


async def _place(service: Service, args: Namespace, paths: Paths) -> tuple[Workspace, Place]:
    """Return the workspace and its folder, once it can be entered. Raises `UserError` as `wsdash ssh` does."""

    async def ask_job(row: WorkspaceRow) -> tuple[Workspace, str]:
        return row.workspace, await service.access.folder(row.workspace.id, attempt=number_of(row))

    meant = await service.queries.find(args.name)
    workspace, folder = await once_entered(service, meant.id, args.timeout, ask_job)
    access = AccessFolder.of(paths)
    access.prepare()
    login = reported_logins(access).get(workspace.name) or own_login()
    return workspace, Place(f"{workspace.name}.wsdash", folder, login)


def _on_path(wanted: str | None) -> tuple[DesktopEditor, str]:
    """Return the wanted editor, or the first one that there is, and its program. Raises `UserError`."""
    names = [wanted] if wanted else list(DESKTOP_EDITORS)
    for name in names:
        if (program := DESKTOP_EDITORS[name].program()) is not None:
            return DESKTOP_EDITORS[name], program
    programs = ", ".join(program for name in names for program in DESKTOP_EDITORS[name].programs)
    what = DESKTOP_EDITORS[wanted].title if wanted else "a desktop editor"
    raise UserError(
        f"{what} is not on the PATH (looked for: {programs})",
        "Install one, or use `wsdash code NAME --print` for the command on another machine,"
        " or `wsdash open NAME` for an editor in the browser.",
    )


def _is_configured(host: str, folder: AccessFolder) -> bool:
    """Whether the user's ssh reaches the host by our configuration, wherever that is included. Runs `ssh -G`."""
    try:
        options = subprocess.run(
            ["ssh", "-G", "--", host], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(
            "there is no ssh on this machine that answers", "Install openssh-client, which editors use."
        ) from error
    lines = options.stdout.decode(errors="surrogateescape").splitlines()
    # The key's path stands there with `%` doubled, or not, by the version of ssh.
    paths = {str(folder.user_key), str(folder.user_key).replace("%", "%%")}
    return any(
        line.partition(" ")[2].strip('"') in paths for line in lines if line.startswith("identityfile ")
    )


def _configure(paths: Paths) -> bool:
    """Install the ssh configuration, after asking. Raises `UserError` without a terminal."""
    from wsdash.commands.ports import ssh_config

    if not can_ask():
        raise UserError(
            "your ssh does not know NAME.wsdash yet, by which editors connect",
            "Run `wsdash ssh-config install`.",
        )
    print_stderr("Your ssh does not know NAME.wsdash yet, by which editors connect.")
    return ssh_config(Namespace(action="install", yes=False), paths) == DONE


def _run(editor: DesktopEditor, argv: tuple[str, ...], name: str, paths: Paths) -> int:
    """Start the editor in a session of its own. Raises `UserError` if it fails within `STARTS_S`."""
    log = paths.state / "desktop-editor.log"
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        exit_code = process.wait(STARTS_S)
    except subprocess.TimeoutExpired:
        exit_code = 0
    except OSError as error:
        raise UserError(f"{argv[0]} cannot be started: {error.strerror}", "Install it again.") from error
    if exit_code != 0:
        raise UserError(f"{editor.title} ended with {exit_code}", f"Its output is in {log}.")
    print(f"{editor.title} opens {name}.")
    return DONE


def _explain(name: str, place: Place, wanted: str, *, as_json: bool) -> None:
    """Print the command and the address for the user's own machine, and copy the command to its clipboard (OSC 52)."""
    editor = DESKTOP_EDITORS[wanted]
    line = shlex.join(editor.argv(place))
    if as_json:
        print_json(
            {
                "name": name,
                "host": place.host,
                "user": place.user,
                "folder": place.folder,
                "editor": wanted,
                "command": line,
                "uri": editor.uri(place),
            }
        )
        return
    host, port = came_to(os.environ, socket.gethostname())
    here = shlex.join(["ssh", *(["-p", port] if port != "22" else []), f"{getpass.getuser()}@{host}"])
    print(f"To open {name} in {editor.title} on your own machine, run there")
    print(f"\n    {line}\n")
    print(f"or open the address\n\n    {editor.uri(place)}\n")
    print(f"Its ~/.ssh/config needs the lines that `wsdash ssh-config remote` prints here ({here}).")
    if sys.stdout.isatty():
        print(copy(line, "the command", os.environ))
