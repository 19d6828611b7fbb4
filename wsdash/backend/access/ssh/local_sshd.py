"""Serves `ssh NAME.wsdash` for a workspace on this machine: an sshd process for each connection.

It listens nowhere: it gets one end of a socket pair, as from inetd. It accepts the user's key and shows a certificate
of wsdash's own authority. Each shell or command of the session runs in the workspace, by `wsdash ssh`.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from wsdash.backend.access.keys import certify, make_keys, public_key, write_key
from wsdash.backend.access.known_hosts import names_of
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.ssh.config import TERMINAL_VARIABLES
from wsdash.backend.errors import UserError
from wsdash.backend.system import environments
from wsdash.backend.system.spawn import detach

_PLACES = "/usr/sbin:/usr/local/sbin:/sbin"
_SFTP = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")
_OURS = re.compile(r"HOME|PATH|PYTHONPATH|XDG_(\w+_HOME|RUNTIME_DIR)|WSDASH_(HOME|ISOLATION)", re.ASCII)
"""Variables that a session needs to find the same workspaces, because sshd starts it with a new environment. No tokens.
"""


def serve(
    folder: AccessFolder, workspace_id: str, name: str, environ: Mapping[str, str] = os.environ
) -> socket.socket:
    """Start a server and return the user's end of the connection. Blocks. Raises `UserError` if sshd is missing."""
    sshd = shutil.which("sshd", path=f"{environ.get('PATH', '')}:{_PLACES}")
    if sshd is None:
        raise UserError(
            "sshd is not installed on this machine, and ssh needs it to enter workspaces that run here",
            f"Install openssh-server (its service need not run), or use `wsdash ssh {name}`.",
        )
    make_keys(folder)
    config = _prepare(folder, workspace_id, name, environ)
    here, there = socket.socketpair()
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd demands this folder when it runs as root
    with there:
        argv = [str(Path(sshd).resolve()), "-i", "-e", "-f", str(config)]
        detach(argv, log=folder.log, env=environments.basic(environ), connection=there)
    return here


def why_no_terminal() -> str | None:
    """Return why an sshd of this user cannot give a session a terminal, or None where it can.

    An sshd that is not root ends where it would have to give the terminal away to the group `tty` (pty_setowner of
    OpenSSH's sshpty.c). Terminals have that group where /dev/pts is mounted with its number (devpts, `gid=`).
    """
    try:
        group = grp.getgrnam("tty").gr_gid
    except KeyError:
        return None
    ours, theirs = os.openpty()
    try:
        found = os.fstat(theirs).st_gid
    finally:
        os.close(ours)
        os.close(theirs)
    if os.geteuid() == 0 or found == group:
        return None
    return f"/dev/pts is not mounted with gid={group}, so that sshd can give a terminal to root alone"


def _prepare(folder: AccessFolder, workspace_id: str, name: str, environ: Mapping[str, str]) -> Path:
    """Write the files that the server needs; return the path of its configuration."""
    own = folder.local / workspace_id
    if not folder.local_host_key.exists():
        write_key(folder.local_host_key)
    names = names_of(workspace_id, name)
    certificate = certify(folder, public_key(folder.local_host_key), names, workspace_id)
    _write(own.with_suffix(".cert"), f"{certificate}\n")
    _write(own.with_suffix(".keys"), f"{public_key(folder.user_key)}\n")
    _write(own.with_suffix(".sh"), _session(workspace_id, environ))
    sftp = next((path for path in _SFTP if Path(path).exists()), "internal-sftp")
    lines = [
        f'HostKey "{folder.local_host_key}"',
        f'HostCertificate "{own}.cert"',
        f'AuthorizedKeysFile "{own}.keys"',
        f"ForceCommand sh {shlex.quote(f'{own}.sh')}",
        f"Subsystem sftp {sftp}",
        "StrictModes no",
        "UsePAM no",
        f"AcceptEnv {TERMINAL_VARIABLES}",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "PidFile none",
        "X11Forwarding no",
        "PrintMotd no",
        "PrintLastLog no",
        "MaxAuthTries 100",
        # The user's login shell starts each session and reads start-up files: bash if it finds SHLVL unset, zsh, fish
        # and
        # tcsh always. An empty home has none of them; the session's script sets the user's home again.
        f'SetEnv SHLVL=1 "HOME={_empty_home(folder)}"',
    ]
    config = own.with_suffix(".conf")
    _write(config, "".join(f"{line}\n" for line in lines))
    return config


def _session(workspace_id: str, environ: Mapping[str, str]) -> str:
    """Return the script that sshd runs for a session: a shell of the workspace, or a command in it."""
    known = {"HOME": _home(), **{key: value for key, value in environ.items() if _OURS.fullmatch(key)}}
    exports = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in known.items())
    enter = shlex.join([sys.executable, "-m", "wsdash", "ssh", workspace_id])
    return (
        f'{exports}[ -n "${{SSH_ORIGINAL_COMMAND:-}}" ] || exec {enter}\n'
        f'exec {enter} -- sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )


def _empty_home(folder: AccessFolder) -> Path:
    """Return a home without start-up files; fish keeps files of its own there."""
    home = folder.local / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    return home


def _home() -> str:
    """Return the home of the password file, "/" for a uid without an entry."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return "/"


def _write(file: Path, text: str) -> None:
    """Write atomically: another connection may be reading the file."""
    new = file.with_name(f".{os.getpid()}-{file.name}")
    new.write_text(text, encoding="utf-8", errors="surrogateescape")
    new.replace(file)
