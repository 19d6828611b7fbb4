"""Tars as anybody may write them, and what they have done to a disk."""

from __future__ import annotations

import io
import stat
import tarfile
from pathlib import Path

from wsdash.backend.providers.local.layout import Layout

Tree = dict[str, tuple[object, ...]]


def tree(folder: Path) -> Tree:
    """Everything below a folder by path, with mode, time and content, and no link followed."""
    found: Tree = {}
    for path in sorted(folder.rglob("*")):
        seen = path.lstat()
        content: object = None
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
        mode = None if path.is_symlink() else stat.S_IMODE(seen.st_mode)
        found[str(path.relative_to(folder))] = (stat.S_IFMT(seen.st_mode), mode, seen.st_mtime_ns, content)
    return found


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, link, len(content), 0o4777
    return info, content


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as written:
        for info, content in members:
            written.addfile(info, io.BytesIO(content))
    return data.getvalue()


async def nobody() -> set[str]:
    return set()


def leftovers(root: Path) -> list[str]:
    """The files that are incoming, being removed, or in place."""
    layout = Layout(root)
    return [
        str(path) for folder in (layout.drafts, layout.trash, layout.workspaces) for path in folder.iterdir()
    ]
