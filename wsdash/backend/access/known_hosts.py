"""Trusted host keys: a workspace's SSH server needs a certificate for its name, signed by wsdash's own authority.

A server without support for certificates (dropbear) is known by the key that its job enrolled.
"""

from __future__ import annotations

from pathlib import Path

from wsdash.backend.system.files import atomic

CERTIFIED = "wsdash-*,*.wsdash"
"""The names that the authority may sign, as patterns of known_hosts."""


def alias_of(workspace_id: str) -> str:
    """Return the name by which the user's ssh knows a workspace, whatever its address."""
    return f"wsdash-{workspace_id}"


def names_of(workspace_id: str, name: str) -> list[str]:
    """Return all names by which the user's ssh may ask for a workspace."""
    return [alias_of(workspace_id), *([f"{name}.wsdash"] if name else [])]


def trust(file: Path, authority: str) -> None:
    """Trust the certificates of this authority (`KIND BASE64`) only. Blocks."""
    line = f"@cert-authority {CERTIFIED} {authority}"
    before = _lines(file)
    if line not in before:
        _write(file, [line, *(old for old in before if not old.startswith("@cert-authority "))])


def pin(file: Path, workspace_id: str, key: str, name: str) -> None:
    """Trust only this key for the workspace; with an empty key, require a certificate instead. Blocks."""
    names = names_of(workspace_id, name)
    kept = [line for line in _lines(file) if not set(line.split(" ")[0].split(",")) & set(names)]
    _write(file, [*kept, *([f"{','.join(names)} {key}"] if key else [])])


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return []


def _write(file: Path, lines: list[str]) -> None:
    atomic.write(file, "".join(f"{line}\n" for line in lines).encode("ascii"))
