"""Removes folders whose content is untrusted: read-only, deep, oddly named, full of symbolic links.

Symbolic links are never followed. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path


def remove(folder: Path, trash: Path) -> None:
    """Removes a folder by way of `trash`, on the same file system: it is gone from its place at once.

    No such folder is no error; what an earlier call has left in `trash` is removed too. Raises OSError
    when something cannot be removed, which then stays in `trash`.
    """
    trash.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        folder.rename(trash / secrets.token_hex(8))
    empty(trash)
    trash.rmdir()


def empty(folder: Path) -> None:
    """Removes everything in a folder. Raises OSError."""
    if folder.is_dir() and not folder.is_symlink():
        _empty_folder(folder)


def _empty_folder(folder: Path) -> None:
    """Folders inside are moved up to `folder` and emptied there, so no path and no recursion gets deep."""
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        waiting = os.listdir(top)  # noqa: PTH208
        while waiting:
            name = waiting.pop()
            waiting += _remove_flat(top, name)
    finally:
        os.close(top)


def _remove_flat(top: int, name: str) -> list[str]:
    """Removes one entry of `top`. Names under which its folders stand in `top` now."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=top)
        return []
    moved: list[str] = []
    folder = _open_writable(top, name)
    try:
        for entry in os.listdir(folder):  # noqa: PTH208
            if not stat.S_ISDIR(os.stat(entry, dir_fd=folder, follow_symlinks=False).st_mode):
                os.unlink(entry, dir_fd=folder)
                continue
            # A folder that changes its parent must be writable itself.
            os.close(_open_writable(folder, entry))
            new_name = f".wsdash-{secrets.token_hex(8)}"
            os.rename(entry, new_name, src_dir_fd=folder, dst_dir_fd=top)
            moved.append(new_name)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)
    return moved


def _open_writable(parent: int, name: str) -> int:
    """Opens a folder after giving its owner every right to it."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        # An O_PATH descriptor has no fchmod; its name in /proc leads to the folder itself. A folder of
        # somebody else cannot be changed, and may still be empty.
        with contextlib.suppress(PermissionError):
            os.chmod(f"/proc/self/fd/{handle}", 0o700)  # noqa: PTH101
        return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_DIRECTORY)
    finally:
        os.close(handle)
