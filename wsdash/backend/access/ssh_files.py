"""The two files that the user's own ssh configuration includes. Everything here blocks, and raises `OSError`."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from wsdash.backend.access.grants import LOGIN, Grants
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.ssh_config import stanza, users
from wsdash.backend.system import atomic


def write_users(folder: AccessFolder) -> None:
    """Write the login name of each workspace whose job has reported one."""
    _write(folder.ssh_users, users(reported_logins(folder)))


def reported_logins(folder: AccessFolder) -> dict[str, str]:
    """Return the login name of each workspace whose job has reported one, by the workspaces' names."""
    logins = {grant.name: grant.login for grant in Grants(folder.grants).all()}
    return {name: login for name, login in logins.items() if LOGIN.fullmatch(login)}


def write_stanza(folder: AccessFolder) -> None:
    """The file that `wsdash ssh-config install` has included."""
    _write(folder.ssh_config, stanza(folder, own_login()))


def renew(folder: AccessFolder) -> None:
    """Both as they should be now, the first only where it was installed."""
    write_users(folder)
    renew_installed(folder)


def renew_installed(folder: AccessFolder) -> None:
    """The stanza as it should be now, where it was installed: it names this Python and a file of this version."""
    if folder.ssh_config.exists():
        write_stanza(folder)


def own_login() -> str:
    """As whom the sshd of a workspace on this machine lets its user in; "" for a uid without a name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""


def _write(file: Path, text: str) -> None:
    atomic.write(file, text.encode("utf-8", "surrogateescape"))
