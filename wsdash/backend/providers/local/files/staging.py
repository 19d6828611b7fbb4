"""Moves a workspace's files into a root completely or not at all, whenever the process dies.

        1  drafts/ID                    created: a mark that ID is being imported
        2  drafts/ID/files              filled, and written to the disk
        3  drafts/ID/files -> workspaces/ID
        4                               the caller commits the workspace
        5  drafts/ID                    removed

The files are in place before the workspace is committed, not after: a workspace that is known without its
files could be started, and would look like one whose work is lost. A process that dies before 4 leaves unknown
files, and the mark, which no other workspace ever has; the next import or the next reconciler sees that ID is not
known and removes both, the mark last, so that its own death is repaired in the same way. A process that dies after 4
leaves an empty mark. The folder of marks is locked: shared by imports, so that the files of a living process are not
taken for those of a dead one; exclusively by the cleanup.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from wsdash.backend.archive.streams import in_thread
from wsdash.backend.providers.errors import PermanentError
from wsdash.backend.providers.local.files import remove
from wsdash.backend.providers.local.layout import Layout
from wsdash.backend.system.files import json_files
from wsdash.backend.system.files.locks import clearing


@asynccontextmanager
async def coming_in(
    layout: Layout, workspace_id: str, known: Callable[[], Awaitable[Collection[str]]]
) -> AsyncIterator[Path]:
    """Import files: the block fills the yielded folder (2), puts it in place (3), and commits (4).

    A block that raises leaves nothing. `known` returns the ids of the existing workspaces.
    Raises PermanentError for a workspace that has files already, OSError.
    """
    descriptor = await in_thread(lambda: _open(layout))
    try:
        if await in_thread(lambda: _lock_alone(descriptor)):
            ids = await known()
            await in_thread(lambda: _clear_up(layout, ids))
            await in_thread(lambda: fcntl.flock(descriptor, fcntl.LOCK_SH))
        folder = await in_thread(lambda: _begin(layout, workspace_id))
        try:
            yield folder
        except BaseException:
            await in_thread(lambda: _remove(layout, workspace_id))
            raise
        await in_thread(lambda: remove_mark(layout, workspace_id))
    finally:
        os.close(descriptor)


def clear_up(layout: Layout, known: Callable[[], Collection[str]]) -> None:
    """Remove the files of dead imports, unless an import is running. Blocks. Raises OSError."""
    with clearing(layout.drafts) as is_alone:
        if is_alone:
            _clear_up(layout, known())


def put_in_place(layout: Layout, workspace_id: str) -> None:
    """Write the files to the disk before they become visible: the workspace's row will survive a power cut, too."""
    os.sync()
    (layout.drafts / workspace_id / "files").rename(layout.workspace(workspace_id))


def remove_mark(layout: Layout, workspace_id: str) -> None:
    """Remove the mark, with any contents."""
    remove.remove(layout.drafts / workspace_id, layout.trash, workspace_id)


def _open(layout: Layout) -> int:
    layout.make()
    return os.open(layout.drafts, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _lock_alone(descriptor: int) -> bool:
    """Return whether the lock is held exclusively; otherwise it is shared, after waiting for a cleanup."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return False
    return True


def _clear_up(layout: Layout, known: Collection[str]) -> None:
    """Remove the files of dead imports. Needs the exclusive lock."""
    for name in os.listdir(layout.drafts):  # noqa: PTH208
        if name in known or _was_launched(layout, name):
            remove_mark(layout, name)
        else:
            _remove(layout, name)


def _begin(layout: Layout, workspace_id: str) -> Path:
    if os.path.lexists(layout.workspace(workspace_id)):
        raise PermanentError(f"the workspace {workspace_id} already has files")
    files = layout.drafts / workspace_id / "files"
    try:
        files.parent.mkdir(mode=0o700)
    except FileExistsError:
        raise PermanentError(f"the workspace {workspace_id} is already being imported") from None
    files.mkdir(mode=0o700)
    return files


def _remove(layout: Layout, workspace_id: str) -> None:
    """Remove the files, wherever they are by now, then the mark."""
    remove.remove(layout.workspace(workspace_id), layout.trash, workspace_id)
    remove_mark(layout, workspace_id)


def _was_launched(layout: Layout, workspace_id: str) -> bool:
    """Whether a job belongs to the workspace, which then was committed: a store that does not know it has lost it."""
    specs = (json_files.read(Path(entry) / "spec.json") or {} for entry in os.scandir(layout.jobs))
    return any(spec.get("workspace") == workspace_id for spec in specs)
