"""Checks that jobs can reach the relay by the host name that they are given."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from wsdash.backend.providers.types import Finding
from wsdash.config.settings import load_config
from wsdash.paths import Paths

VERSION_S = 5.0
OLDEST_SSH = (8, 2)
"""The first version with what wsdash uses: `^` before a list of ciphers, certificates signed by sk and ed25519 keys."""
_VERSION = re.compile(r"OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)")


def access_findings(paths: Paths) -> Iterator[Finding]:
    """Yield findings about ssh: for local workspaces, and by the relay if a context is a GitLab.

    Raises `ConfigError`.
    """
    from wsdash.backend.access.paths import AccessFolder
    from wsdash.backend.access.relay_client import RelayClient
    from wsdash.backend.access.ssh.files import in_the_way, overridden_by
    from wsdash.backend.access.ssh.local_sshd import why_no_terminal
    from wsdash.backend.operations import check_access

    if (reason := why_no_terminal()) is not None:
        yield Finding(
            "warning",
            f"{reason}: `ssh -t NAME.wsdash` opens no shell in local workspaces",
            "`wsdash ssh NAME` opens one.",
            subject="ssh",
        )
    folder, own = AccessFolder.of(paths), Path.home() / ".ssh" / "config"
    if folder.ssh_config.exists() and (found := overridden_by(own, folder)):
        text = f"{own} overrides wsdash's lines, so ssh NAME.wsdash may fail: {in_the_way(found)}"
        yield Finding("warning", text, "`wsdash ssh-config install` puts its line first.", subject="ssh")
    config = load_config(paths.config_file)
    if not any(context.gitlab is not None for context in config.contexts.values()):
        return
    if config.access.host is None:
        text = "workspaces of a GitLab cannot be entered: their jobs do not know the address of this machine"
        yield Finding("warning", text, "Set host in [access] of config.toml (docs/access.md).")
        return
    if shutil.which("ssh") is None:
        yield Finding("blocked", "ssh is not installed on this machine", "Install openssh-client.")
        return
    yield from client_findings(_version_of_ssh())
    names = [context.name for context in config.contexts.values() if context.gitlab is not None]
    yield from check_access.findings(RelayClient(paths, config.access), config.access.bind, names)


def client_findings(version: str) -> Iterator[Finding]:
    """Check the version in the output of `ssh -V`."""
    found = _VERSION.search(version)
    if found is None:
        text = f"`ssh -V` prints {version.strip()[:60]!r}: only OpenSSH is known to work"
        yield Finding("warning", text, subject="ssh")
    elif (int(found[1]), int(found[2])) < OLDEST_SSH:
        oldest = ".".join(map(str, OLDEST_SSH))
        yield Finding(
            "blocked", f"{found[0]} is too old", f"Install OpenSSH {oldest} or newer.", subject="ssh"
        )
    else:
        yield Finding("ok", found[0].replace("_", " "), subject="ssh")


def _version_of_ssh() -> str:
    done = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False, timeout=VERSION_S)
    return done.stderr
