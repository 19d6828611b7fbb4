"""How a workspace's files come into a root whole or not at all, whatever line the process dies on.

    1  drafts/ID                    made: a mark that ID is on its way in
    2  drafts/ID/files              filled, and brought to the disk
    3  drafts/ID/files -> workspaces/ID
    4                               the caller commits the workspace
    5  drafts/ID                    removed

The files are in place before the workspace is committed, not after: a workspace that is known without its
files could be started, and would look like one whose work is lost. A process that dies before 4 leaves files
that nobody knows of, and the mark, which no other workspace ever has; the next import, or who begins to reconcile,
sees that ID is not known and removes both, the mark last, so that dying there is fixed in the same way. One that
dies after 4 leaves an empty mark. The folder of marks is locked: shared by those on their way, so that the files of a
living process are not taken for those of a dead one; alone by the cleanup.
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
from wsdash.backend.system import json_files
from wsdash.backend.system.locks import clearing


@asynccontextmanager
async def coming_in(
    layout: Layout, workspace_id: str, known: Callable[[], Awaitable[Collection[str]]]
) -> AsyncIterator[Path]:
    """In the block: the folder to fill (2), to put in place (3), and the commit (4).

    A block that raises leaves nothing. `known` is asked for the ids of the workspaces that there are.
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
    """Removes what died on its way in, unless something is on its way in now. Blocks. Raises OSError."""
    with clearing(layout.drafts) as is_alone:
        if is_alone:
            _clear_up(layout, known())


def put_in_place(layout: Layout, workspace_id: str) -> None:
    """To the disk before it can be seen: the workspace's row will be there after a power cut, too."""
    os.sync()
    (layout.drafts / workspace_id / "files").rename(layout.workspace(workspace_id))


def remove_mark(layout: Layout, workspace_id: str) -> None:
    """The mark, with what is still in it."""
    remove.remove(layout.drafts / workspace_id, layout.trash, workspace_id)


def _open(layout: Layout) -> int:
    layout.make()
    return os.open(layout.drafts, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _lock_alone(descriptor: int) -> bool:
    """Whether the lock is had alone; else it is shared, after waiting for one who clears up."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return False
    return True


def _clear_up(layout: Layout, known: Collection[str]) -> None:
    """What died on its way is removed. With the lock alone."""
    for name in os.listdir(layout.drafts):  # noqa: PTH208
        if name in known or _was_launched(layout, name):
            remove_mark(layout, name)
        else:
            _remove(layout, name)


def _begin(layout: Layout, workspace_id: str) -> Path:
    if os.path.lexists(layout.workspace(workspace_id)):
        raise PermanentError(f"the workspace {workspace_id} has files already")
    files = layout.drafts / workspace_id / "files"
    try:
        files.parent.mkdir(mode=0o700)
    except FileExistsError:
        raise PermanentError(f"the workspace {workspace_id} is on its way in already") from None
    files.mkdir(mode=0o700)
    return files


def _remove(layout: Layout, workspace_id: str) -> None:
    """The files, wherever they are by now, then the mark."""
    remove.remove(layout.workspace(workspace_id), layout.trash, workspace_id)
    remove_mark(layout, workspace_id)


def _was_launched(layout: Layout, workspace_id: str) -> bool:
    """Whether a job is the workspace's, which then was committed: a store that does not know it has lost it."""
    specs = (json_files.read(Path(entry) / "spec.json") or {} for entry in os.scandir(layout.jobs))
    return any(spec.get("workspace") == workspace_id for spec in specs)
