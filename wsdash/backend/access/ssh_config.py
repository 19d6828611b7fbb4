"""What the user's own ssh needs so that `ssh NAME.wsdash`, scp, rsync and desktop editors come in. Pure."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from wsdash.backend.access import connect
from wsdash.backend.access.folders import AccessFolder

ABOUT = (
    "# wsdash: so that ssh NAME.wsdash leads into a workspace; `wsdash ssh-config uninstall` takes it out."
)

FAST_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""First these: what goes to a workspace is encrypted twice, and most processors do AES by themselves."""


def stanza(folder: AccessFolder) -> str:
    """The file that is included: one stanza for all workspaces, which need not be written anew."""
    helper = [sys.executable, "-S", "-E", str(Path(connect.__file__)), f"{folder.sockets}/%n.sock", "%n"]
    options = {
        "ProxyCommand": shlex.join(helper),
        "ProxyUseFdpass": "yes",
        "UserKnownHostsFile": _quoted(folder.known_hosts),
        "GlobalKnownHostsFile": _quoted(folder.known_hosts),
        "StrictHostKeyChecking": "yes",
        "IdentityFile": _quoted(folder.user_key),
        "IdentitiesOnly": "yes",
        "ForwardAgent": "no",
        "ServerAliveInterval": "10",
        "Ciphers": FAST_CIPHERS,
        "ControlMaster": "auto",
        "ControlPath": _quoted(folder.sockets / "c-%C"),
        "ControlPersist": "10m",
    }
    lines = "".join(f"    {key} {value}\n" for key, value in options.items())
    return f"# Written by wsdash.\nHost *.wsdash\n{lines}"


def with_include(text: str, file: Path) -> str:
    """The user's configuration with the file included, before everything else: a Host line would end it."""
    line = _include(file)
    if line in text.splitlines():
        return text
    return f"{ABOUT}\n{line}\n\n{without_include(text, file)}"


def without_include(text: str, file: Path) -> str:
    """The user's configuration as it was."""
    lines = text.splitlines(keepends=True)
    kept: list[str] = []
    at = 0
    while at < len(lines):
        if lines[at].rstrip("\n") in (ABOUT, _include(file)):
            at += 1
            if kept == [] and at < len(lines) and not lines[at].strip():
                at += 1
            continue
        kept.append(lines[at])
        at += 1
    return "".join(kept)


def _include(file: Path) -> str:
    return f"Include {_quoted(file)}"


def _quoted(path: Path) -> str:
    return f'"{path}"'
