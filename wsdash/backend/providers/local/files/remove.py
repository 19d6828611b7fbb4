"""Removes folders whose content is untrusted: read-only, deep, oddly named, full of symbolic links.

What goes leaves its place in one step, for a folder of the same file system that is called trash here, and is
emptied there: `trash/OWNER.RANDOM`, where the owner is the id of a workspace. Whatever stands in the trash is to be
removed, by any process. Symbolic links are never followed. Standard library only.
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
    """Removes a folder or file by way of `trash`: it is gone from its place at once.

    No such folder is no error; what an earlier call has left of this owner in `trash` is removed too. Raises
    OSError when something cannot be removed, which then stays in `trash`.
    """
    discard(path, trash, owner)
    purge(trash, owner)


def discard(path: Path, trash: Path, owner: str) -> None:
    """Takes it out of its place, to be removed by the next `purge`. Raises OSError."""
    trash.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.rename(trash / f"{owner}.{secrets.token_hex(8)}")


def purge(trash: Path, owner: str | None = None) -> None:
    """Removes what stands in the trash, all of it or what was one owner's.

    What cannot be removed keeps nothing else from being removed. Raises the first OSError of all.
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
    """What stands there, of one owner or of all."""
    try:
        found = sorted(Path(entry) for entry in os.scandir(trash))
    except FileNotFoundError:
        return []
    return [entry for entry in found if owner is None or entry.name.rpartition(".")[0] == owner]


def _remove_entry(entry: Path) -> None:
    if entry.is_symlink() or not entry.is_dir():
        entry.unlink(missing_ok=True)
        return
    # Who else removes it, or a process that still writes into it, may have put something in its place meanwhile.
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
            with contextlib.suppress(FileNotFoundError):
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
            with contextlib.suppress(FileNotFoundError):
                _take_up(folder, entry, top, moved)
    finally:
        os.close(folder)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=top)
    return moved


def _take_up(folder: int, entry: str, top: int, moved: list[str]) -> None:
    """Removes a file of a folder; a folder gets into `top` under a name of its own, which is noted."""
    if not stat.S_ISDIR(os.stat(entry, dir_fd=folder, follow_symlinks=False).st_mode):
        os.unlink(entry, dir_fd=folder)
        return
    # A folder that changes its parent must be writable itself.
    os.close(_open_writable(folder, entry))
    new_name = f".wsdash-{secrets.token_hex(8)}"
    os.rename(entry, new_name, src_dir_fd=folder, dst_dir_fd=top)
    moved.append(new_name)


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
