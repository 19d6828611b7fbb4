"""Creates the relay's key, the user's key and the certificate authority for workspaces' SSH servers, on first use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import asyncssh

from wsdash.backend.access.known_hosts import trust
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.system.files import atomic

CERTIFIED_FOR = "32d"
"""Validity of a certificate: longer than a job can run (GitLab's longest timeout is a month)."""


def make_keys(folder: AccessFolder) -> None:
    """Create the key pairs that do not exist yet. Blocks. Raises `OSError`."""
    folder.prepare()
    for file in (folder.host_key, folder.user_key, folder.host_authority):
        if not file.exists():
            write_key(file)
    trust(folder.known_hosts, public_key(folder.host_authority))


def public_key(file: Path) -> str:
    """Return the public key, `KIND BASE64`, of a private key's file. Blocks."""
    return " ".join(asyncssh.read_private_key(str(file)).export_public_key("openssh").decode().split()[:2])


def certify(folder: AccessFolder, host_key: str, names: Sequence[str], key_id: str) -> str:
    """Return the certificate, `KIND BASE64`, with which the holder of `host_key` may serve the names. Blocks."""
    authority = asyncssh.read_private_key(str(folder.host_authority))
    certificate = authority.generate_host_certificate(
        asyncssh.import_public_key(host_key),
        key_id,
        principals=list(names),
        valid_after="-1h",
        valid_before=f"+{CERTIFIED_FOR}",
    )
    return " ".join(certificate.export_certificate("openssh").decode().split()[:2])


def write_key(file: Path) -> None:
    """Create a new private key. Blocks. Raises `OSError`."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment="wsdash")
    atomic.write(file, key.export_private_key("openssh"), durable=True)
