"""Trusted host keys: a workspace's server needs a certificate of wsdash's own authority for its name.

A server that knows no certificates (dropbear) is known by the key that its job has left when it enrolled.
"""

from __future__ import annotations

from pathlib import Path

from wsdash.backend.system import atomic

CERTIFIED = "wsdash-*,*.wsdash"
"""The names that the authority speaks for, as patterns of known_hosts."""


def alias_of(workspace_id: str) -> str:
    """The name by which the user's ssh knows a workspace, whatever its address."""
    return f"wsdash-{workspace_id}"


def names_of(workspace_id: str, name: str) -> list[str]:
    """All names by which the user's ssh may ask for a workspace."""
    return [alias_of(workspace_id), *([f"{name}.wsdash"] if name else [])]


def trust(file: Path, authority: str) -> None:
    """Believe the certificates of this authority (`KIND BASE64`), and of none before it. Blocks."""
    line = f"@cert-authority {CERTIFIED} {authority}"
    before = _lines(file)
    if line not in before:
        _write(file, [line, *(old for old in before if not old.startswith("@cert-authority "))])


def pin(file: Path, workspace_id: str, key: str, name: str) -> None:
    """This key is the workspace's from now on, and the one before it no more; with none, a certificate is. Blocks."""
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
