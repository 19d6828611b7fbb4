"""The relay's and the user's keys, made when they are first needed."""

from __future__ import annotations

import os
from pathlib import Path

import asyncssh

from wsdash.backend.access.folders import AccessFolder


def make_keys(folder: AccessFolder) -> None:
    """Both pairs of keys, where they are not there yet. Blocks. Raises `OSError`."""
    folder.prepare()
    for file in (folder.host_key, folder.user_key):
        if not file.exists():
            _write(file, asyncssh.generate_private_key("ssh-ed25519", comment="wsdash"))


def public_key(file: Path) -> str:
    """`KIND BASE64` of a private key's file. Blocks."""
    return " ".join(asyncssh.read_private_key(str(file)).export_public_key("openssh").decode().split()[:2])


def _write(file: Path, key: asyncssh.SSHKey) -> None:
    handle = os.open(file.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as new:
        new.write(key.export_private_key("openssh"))
    file.with_suffix(".new").replace(file)
