"""The editor in the browser: parses the answer of `editor.sh`, and explains how a browser reaches it. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from wsdash.sanitize import one_line

START = ("sh", "-c", 'exec sh "$WSDASH_SCRIPTS/editor.sh"')
"""The command for the workspace's shell that starts the editor unless it runs."""
START_S = 90.0
LARGEST_ANSWER = 64 * 1024
FOLDER = ("sh", "-c", 'printf "wsdash-folder %s\\n" "$PWD"')
"""For the workspace's shell: prints the folder in which its shells start, as `folder_of` reads it."""
FOLDER_S = 30.0
PORT = 8080
"""The port of the user's own machine in the printed command."""

_ANSWER = re.compile(r"wsdash-editor (vscode|code-server) ([0-9a-f]{32}) (/[\x21-\x7e]{1,4000})", re.ASCII)


class NoEditor(Exception):
    """The workspace has no editor, or it does not start; the message is the job's own reason."""


@dataclass(frozen=True, slots=True)
class Editor:
    """`socket` is the path that it listens on inside the job; `token` authenticates a user who reaches the socket."""

    kind: str
    token: str
    socket: str

    @property
    def path(self) -> str:
        """The part of the editor's address after the port."""
        return f"/?tkn={self.token}" if self.kind == "vscode" else "/"

    @property
    def password(self) -> str | None:
        """The password that the editor's own page asks for; None if the address contains the token."""
        return self.token if self.kind == "code-server" else None


def editor_of(output: str, errors: str) -> Editor:
    """Parse the output of `START`, which is not trusted. Raises `NoEditor`."""
    for line in reversed(output.splitlines()):
        found = _ANSWER.fullmatch(line)
        if found is not None:
            return Editor(found[1], found[2], found[3])
    lines = [line for line in errors.splitlines() if line.strip()]
    raise NoEditor(one_line(lines[-1])[:300] if lines else "it did not answer")


def folder_of(output: str) -> str | None:
    """Return the folder that `FOLDER` has printed, which is not trusted; None if it printed none that can be used."""
    for line in reversed(output.splitlines()):
        word, _, folder = line.partition(" ")
        if word == "wsdash-folder":
            return folder if folder.startswith("/") and folder.isprintable() else None
    return None


def laptop_line(target: str, user: str, environ: Mapping[str, str], host: str, *, port: int = PORT) -> str:
    """The command for the user's own machine that forwards its port to a socket or an address of this one."""
    host, by = came_to(environ, host)
    words = ["-p", by] if by != "22" else []
    return shlex.join(["ssh", "-N", *words, "-L", f"{port}:{target}", f"{user}@{host}"])


def came_to(environ: Mapping[str, str], host: str) -> tuple[str, str]:
    """Return the address and port by which the user's own machine reached this one, else `host` and 22.

    They are in SSH_CONNECTION (sshd(8): client, its port, server, its port).
    """
    parts = environ.get("SSH_CONNECTION", "").split()
    return (parts[2], parts[3]) if len(parts) == 4 else (host, "22")


def has_display(environ: Mapping[str, str]) -> bool:
    """Whether the user would see a browser that is started on this machine."""
    return not environ.get("SSH_CONNECTION") and bool(
        environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    )
