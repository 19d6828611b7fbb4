"""A workspace's socket on this machine, and the channels through its tunnel to the job."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import asyncssh
from asyncssh.forward import SSHLocalPathForwarder

from wsdash.backend.access.grants import Grant
from wsdash.backend.access.paths import AccessFolder

ANSWER_S = 10.0
"""Longest time, in seconds, that a job may take to accept a connection of its user."""
MOST_UNANSWERED = 5
_serial = itertools.count()


class Session(SSHLocalPathForwarder):
    """A connection of the user through a tunnel. Its wait for the job's answer is bounded, unlike asyncssh's."""

    def __init__(self, tunnel: Tunnel) -> None:
        super().__init__(tunnel.connection, tunnel.open)
        self._tunnel = tunnel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection, or close it at once if the tunnel has too many."""
        if len(self._tunnel.sessions) >= self._tunnel.most_sessions:
            transport.close()
            return
        self._tunnel.sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the connection's place in the tunnel."""
        self._tunnel.sessions.discard(self)
        super().connection_lost(exc)


class Tunnel(asyncssh.SSHListener):
    """A workspace's socket, of mode 0600 in a folder of mode 0700. It replaces an older one atomically.

    `on_broken` is called if the job leaves several connections in a row without an answer.
    """

    def __init__(
        self,
        folder: AccessFolder,
        grant: Grant,
        connection: asyncssh.SSHServerConnection,
        most_sessions: int,
        on_broken: Callable[[], None],
    ) -> None:
        super().__init__()
        self.grant = grant
        self.connection = connection
        self.most_sessions = most_sessions
        self.sessions: set[Session] = set()
        self.is_closed = False
        self._folder = folder
        self._on_broken = on_broken
        self._unanswered = 0
        self._server: asyncio.Server | None = None
        self._path = Path()
        self._inode = 0

    async def listen(self) -> None:
        """Create the socket, also where it was removed. Raises `OSError`."""
        before, sockets = self._server, self._folder.sockets
        path = sockets / f"{self.grant.workspace_id}.sock"
        new = sockets / f".{self.grant.workspace_id}.{os.getpid()}.{next(_serial)}"
        with suppress(FileNotFoundError):
            new.unlink()
        server = await asyncio.get_running_loop().create_unix_server(lambda: Session(self), str(new))
        try:
            new.chmod(0o600)
            inode = new.stat().st_ino
            new.replace(path)
            self._link(path)
        except OSError:
            server.close()
            with suppress(OSError):
                new.unlink()
            raise
        self._server, self._path, self._inode = server, path, inode
        if before is not None:
            before.close()
        if self.is_closed:
            self._end()

    def _link(self, path: Path) -> None:
        """Link the socket under the workspace's name, where `ssh NAME.wsdash` finds it."""
        if not self.grant.name:
            return
        link = path.with_name(f".{os.getpid()}.{next(_serial)}")
        link.symlink_to(path.name)
        link.replace(self._folder.named(self.grant.name))

    def is_there(self) -> bool:
        """Whether the socket still has its path. Blocks."""
        try:
            return self._path.parent == self._folder.sockets and self._path.stat().st_ino == self._inode
        except OSError:
            return False

    async def open(
        self, session_factory: Callable[[], asyncssh.SSHUNIXSession[bytes]]
    ) -> tuple[object, object]:
        """Open a channel to the job for a connection of the user."""
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await self.connection.create_unix_connection(session_factory, self.grant.path)
        except TimeoutError:
            self._unanswered += 1
            if self._unanswered >= MOST_UNANSWERED:
                self._on_broken()
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "no answer") from None
        self._unanswered = 0
        return found

    def get_port(self) -> int:
        """Return 0: a Unix socket has no port."""
        return 0

    def close(self) -> None:
        """Stop listening, and remove the socket unless a newer attempt has replaced it."""
        if not self.is_closed:
            self.is_closed = True
            self._end()

    def _end(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        with suppress(OSError):  # a newer attempt may have its own there
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def wait_closed(self) -> None:
        """Return at once: closing is immediate."""
