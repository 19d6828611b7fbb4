"""Leftovers of deleted workspaces in the access folder: grants, sockets, and files of their SSH servers."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from wsdash.backend.access.grants import ID
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.rules.leftovers import AskIds, Leftover
from wsdash.backend.system.processes import stat_of

_OLD_S = 3600.0
"""The age in seconds from which an unfinished file counts as abandoned."""
_SERVER = (".cert", ".conf", ".keys", ".sh")
"""Endings of the files of a workspace in the folder `local`."""
_NEW_SOCKET = re.compile(r".+\.(\d{1,9})\.\d+")
"""A new socket of the relay before it is renamed: WORKSPACE.PID.NUMBER."""


def forget(folder: AccessFolder, workspace_id: str, name: str) -> None:
    """Remove a workspace's files. If a job still holds its tunnel, the tunnel loses its socket. Raises OSError."""
    if not ID.fullmatch(workspace_id):
        return
    files = [folder.local / f"{workspace_id}{ending}" for ending in _SERVER]
    files += [room / f"{workspace_id}.json" for room in (folder.grants, folder.seen)]
    files.append(folder.socket(workspace_id))
    files.append(folder.sockets / f"{workspace_id}.editor")
    named = folder.socket(f"{name}.wsdash")
    if named.is_symlink() and os.readlink(named) == folder.socket(workspace_id).name:  # noqa: PTH115
        files.append(named)
    for file in files:
        file.unlink(missing_ok=True)


def find(folder: AccessFolder, ask: AskIds) -> list[Leftover]:
    """Return files of deleted workspaces, and unfinished files of processes that died."""
    seen = [
        file for room in (folder.local, folder.grants, folder.seen, folder.sockets) for file in _files(room)
    ]
    ids = ask()
    found = [Leftover(file, "a deleted workspace") for file in seen if _is_orphan(file, folder, ids.deleted)]
    drafts = [file for file in (*seen, *_files(folder.root)) if _is_abandoned(file)]
    return found + [Leftover(file, "a process that died while writing it") for file in drafts]


def _is_orphan(file: Path, folder: AccessFolder, deleted: frozenset[str]) -> bool:
    if file.parent == folder.sockets and file.is_symlink():
        return not file.exists() or _id_of(os.readlink(file)) in deleted  # noqa: PTH115
    return not file.name.startswith(".") and _id_of(file.name) in deleted


def _id_of(name: str) -> str:
    return name.rpartition(".")[0]


def _files(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            if not entry.is_dir(follow_symlinks=False):
                yield Path(entry)


def _is_abandoned(file: Path) -> bool:
    """Whether it is an unfinished file whose writer is gone, or has not touched it for `_OLD_S`."""
    socket = _NEW_SOCKET.fullmatch(file.name)
    if socket is not None:
        return stat_of(int(socket[1])) is None
    try:
        return file.name.startswith(".") and abs(time.time() - file.lstat().st_mtime) > _OLD_S
    except OSError:
        return False
