"""Stores imported files until they are sent to a workspace's job, which waits for them.

They are kept until a job has ended by itself, and so has saved them: after a crash the next job gets them again.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from wsdash.backend.archive.streams import ByteSource, in_thread
from wsdash.backend.providers.errors import PermanentError, ProviderError
from wsdash.backend.providers.gitlab.tunnel import file_transfer
from wsdash.backend.providers.gitlab.tunnel.attempt_tasks import AttemptTasks
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.model import Workspace
from wsdash.paths import make_folder

log = logging.getLogger(__name__)


class PendingImports:
    """The imported files, one file for each workspace, in a private folder."""

    def __init__(self, folder: Path, tunnel: JobTunnel) -> None:
        self._folder = folder
        self._tunnel = tunnel
        self._sending = AttemptTasks()
        self._sent: set[str] = set()

    def has(self, workspace_id: str) -> bool:
        """Whether imported files of this workspace wait to be sent. Blocks."""
        return self._file(workspace_id).exists()

    def drop(self, workspace_id: str) -> None:
        """Remove the workspace's imported files. Blocks."""
        self._file(workspace_id).unlink(missing_ok=True)

    @asynccontextmanager
    async def receive(
        self, workspace: Workspace, source: ByteSource, known: Callable[[], Awaitable[Collection[str]]]
    ) -> AsyncIterator[None]:
        """Store the files completely before the block; a block that raises removes them."""
        make_folder(self._folder)
        if self.has(workspace.id):
            raise PermanentError(f"the workspace {workspace.id} already has files")
        ids = await known()
        for left in self._folder.glob("*.tar"):
            if left.stem not in ids:
                left.unlink(missing_ok=True)
        file = self._file(workspace.id)
        try:
            await in_thread(lambda: _spool(source, file), source)
            yield
        except OSError as error:
            file.unlink(missing_ok=True)
            raise ProviderError(
                f"the files cannot be stored: {error.strerror}", "Free some disk space."
            ) from error
        except BaseException:
            file.unlink(missing_ok=True)
            raise

    def send(self, workspace_id: str, attempt_id: str) -> None:
        """Send the files to a running job in the background, unless that was or is being done."""
        if attempt_id not in self._sent and self.has(workspace_id):
            self._sending.start(workspace_id, self._send, workspace_id, attempt_id)

    async def _send(self, workspace_id: str, attempt_id: str) -> None:
        try:
            argv = await self._tunnel.command(workspace_id, workspace_id, file_transfer.take())
            problem = await asyncio.to_thread(file_transfer.push, argv, self._file(workspace_id))
        except (ProviderError, OSError) as error:
            problem = str(error)
        if problem is None:
            self._sent.add(attempt_id)
        else:
            log.info("the files of %s could not be sent yet: %s", workspace_id, problem)

    async def aclose(self) -> None:
        """Cancel the transfers, which end with their ssh; they are sent again later."""
        await self._sending.aclose()

    def _file(self, workspace_id: str) -> Path:
        return self._folder / f"{workspace_id}.tar"


def _spool(source: ByteSource, file: Path) -> None:
    draft = file.with_suffix(".draft")
    try:
        draft.touch(mode=0o600)
        with draft.open("wb") as out:
            file_transfer.spool(source, out)
        draft.replace(file)
        # The workspace's row will survive a power cut, so its files must too.
        os.sync()
    finally:
        draft.unlink(missing_ok=True)
