"""Removes folders whose content is untrusted: read-only, deep, oddly named, full of symbolic links.

A folder is first moved, in one step, to another folder of the same file system, the trash, and emptied there:
`trash/OWNER.RANDOM`, where the owner is the id of a workspace. Any process may remove any entry of the trash.
Symbolic links are never followed. Standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

_ROUNDS = 5


def remove(path: Path, trash: Path, owner: str) -> None:
    """Remove a folder or file by way of `trash`, so that it leaves its place at once.

    A missing folder is no error; this owner's entries that an earlier call left in `trash` are removed too. Raises
    OSError if something cannot be removed; it then stays in `trash`.
    """
    discard(path, trash, owner)
    purge(trash, owner)


def discard(path: Path, trash: Path, owner: str) -> None:
    """Move it into the trash, for the next `purge` to remove. Raises OSError."""
    trash.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.rename(trash / f"{owner}.{secrets.token_hex(8)}")


def purge(trash: Path, owner: str | None = None) -> None:
    """Remove the entries of the trash, all of them or one owner's.

    An entry that cannot be removed does not prevent the removal of others. Raises the first OSError.
    """
    first: OSError | None = None
    for entry in in_trash(trash, owner):
        try:
            _remove_entry(entry)
        except OSError as error:
            first = first or error
    if first is not None:
        raise first


def in_trash(trash: Path, owner: str | None = None) -> list[Path]:
    """Return the entries of the trash, of one owner or of all."""
    try:
        found = sorted(Path(entry) for entry in os.scandir(trash))
    except FileNotFoundError:
        return []
    return [entry for entry in found if owner is None or entry.name.rpartition(".")[0] == owner]


def _remove_entry(entry: Path) -> None:
    if entry.is_symlink() or not entry.is_dir():
        entry.unlink(missing_ok=True)
        return
    # Another process that removes it, or still writes into it, may have created something in its place meanwhile.
    for rounds_left in reversed(range(_ROUNDS)):
        try:
            with contextlib.suppress(PermissionError):
                entry.chmod(0o700)
            _empty_folder(entry)
            entry.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or not rounds_left:
                raise


def empty(folder: Path) -> None:
    """Remove everything in a folder. Raises OSError."""
    if folder.is_dir() and not folder.is_symlink():
        _empty_folder(folder)


def _empty_folder(folder: Path) -> None:
    """Move inner folders up to `folder` and empty them there, so that neither paths nor recursion get deep."""
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        waiting = os.listdir(top)  # noqa: PTH208
        while waiting:
            name = waiting.pop()
            with contextlib.suppress(FileNotFoundError):
                waiting += _remove_flat(top, name)
    finally:
        os.close(top)


def _remove_flat(top: int, name: str) -> list[str]:
    """Remove one entry of `top`. Return the names under which its inner folders are in `top` now."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=top)
        return []
    moved: list[str] = []
    folder = _open_writable(top, name)
    try:
        for entry in os.listdir(folder):  # noqa: PTH208
            with contextlib.suppress(FileNotFoundError):
                _take_up(folder, entry, top, moved)
    finally:
        os.close(folder)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=top)
    return moved


def _take_up(folder: int, entry: str, top: int, moved: list[str]) -> None:
    """Remove a file of a folder; move a folder into `top` under a unique name, which is added to `moved`."""
    if not stat.S_ISDIR(os.stat(entry, dir_fd=folder, follow_symlinks=False).st_mode):
        os.unlink(entry, dir_fd=folder)
        return
    # A folder that changes its parent must be writable itself.
    os.close(_open_writable(folder, entry))
    new_name = f".wsdash-{secrets.token_hex(8)}"
    os.rename(entry, new_name, src_dir_fd=folder, dst_dir_fd=top)
    moved.append(new_name)


def _open_writable(parent: int, name: str) -> int:
    """Open a folder after giving its owner all permissions."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        # An O_PATH descriptor has no fchmod; its name in /proc leads to the folder itself. Another user's folder
        # cannot be changed, but may be empty.
        with contextlib.suppress(PermissionError):
            os.chmod(f"/proc/self/fd/{handle}", 0o700)  # noqa: PTH101
        return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_DIRECTORY)
    finally:
        os.close(handle)
