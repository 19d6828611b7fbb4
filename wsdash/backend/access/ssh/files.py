"""Writes the two files that the user's own ssh configuration includes. Every function blocks, and raises `OSError`."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from wsdash.backend.access.grants import LOGIN, Grants
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.ssh.config import overridden, stanza, users
from wsdash.backend.system.files import atomic

CHECK_S = 10.0
"""`ssh -G` connects to nobody, but `Match exec` runs commands of the user's."""


def write_users(folder: AccessFolder) -> None:
    """Write the login name of each workspace whose job has reported one."""
    _write(folder.ssh_users, users(reported_logins(folder)))


def reported_logins(folder: AccessFolder) -> dict[str, str]:
    """Return the login name of each workspace whose job has reported one, by the workspaces' names."""
    logins = {grant.name: grant.login for grant in Grants(folder.grants).all()}
    return {name: login for name, login in logins.items() if LOGIN.fullmatch(login)}


def write_stanza(folder: AccessFolder) -> None:
    """Write the file that `wsdash ssh-config install` has included."""
    _write(folder.ssh_config, stanza(folder, own_login()))


def renew(folder: AccessFolder) -> None:
    """Rewrite both files, the stanza only if it is installed."""
    write_users(folder)
    renew_installed(folder)


def renew_installed(folder: AccessFolder) -> None:
    """Rewrite the stanza if it is installed: it names this Python and a file of this version."""
    if folder.ssh_config.exists():
        write_stanza(folder)


def overridden_by(config: Path, folder: AccessFolder) -> dict[str, tuple[str, str]]:
    """Return what ssh, with the user's configuration, takes otherwise than wsdash's installed file has it: the wanted
    and the found value of each option. Empty where ssh cannot tell.

    Without `-F` ssh reads the system's configuration too, and the user's in the home of the password file.
    """
    own = [] if config == _read_by_ssh() else ["-F", str(config)]
    wanted, found = _effective(["-F", str(folder.ssh_config)]), _effective(own)
    return {} if wanted is None or found is None else overridden(wanted, found)


def in_the_way(found: Mapping[str, tuple[str, str]]) -> str:
    """Return the options that something else sets, for a sentence: `user deploy, port 2222`."""
    shown = [f"{key} {value[:60]}" for key, (_, value) in sorted(found.items())]
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")


def _read_by_ssh() -> Path | None:
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".ssh" / "config"
    except KeyError:
        return None


def _effective(options: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(
            ["ssh", *options, "-G", "any-name.wsdash"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=CHECK_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def own_login() -> str:
    """Return the login name for the sshd of a workspace on this machine; "" for a uid without a name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""


def _write(file: Path, text: str) -> None:
    atomic.write(file, text.encode("utf-8", "surrogateescape"))
