"""Writes to the state store: short transactions, one at a time.

Every write begins with `BEGIN IMMEDIATE`, so that it either has the lock or waits for it, and no provider is
called inside. A write of the reconciler carries the fencing token of its lease; if the lease has another token
by now, nothing is changed and `LeaseLost` is raised.

Another process may replace, restore, empty or damage the file at any time. Before and after each transaction
its identity is compared; another file is opened, and the transaction is run there (again). A token is valid
only in the file in which it was acquired.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import ClassVar, Self, TypeVar

import aiosqlite

from wsdash.backend.store.database import drop_ballast, prepare, settings
from wsdash.backend.store.errors import (
    BUSY_TIMEOUT_S,
    DatabaseError,
    explain,
    is_damage,
    is_full,
)
from wsdash.backend.store.lease import LEASE_NAME, LeaseLost
from wsdash.backend.store.repair import await_file, part_from_log
from wsdash.backend.system.files.file_watch import FileIdentity, FileWatch, file_identity, log_identity
from wsdash.paths import PathError, Paths

log = logging.getLogger(__name__)

T = TypeVar("T")

_TRIES = 3
"""Tries of one transaction on files that are replaced meanwhile."""


class _Replaced(Exception):
    """The connection's file is no longer the file at the path."""


class Transactions:
    """One connection to the state store, and the lock of its writers."""

    _lease_tokens: ClassVar[dict[FileIdentity, int]] = {}
    """The lease's token that this process acquired last in each file, through any of its connections."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._turn = asyncio.Lock()
        self._watch = FileWatch(paths.database)
        self._data_version: tuple[FileIdentity, int] | None = None
        self._connection: aiosqlite.Connection
        self._identity: FileIdentity
        self._log: FileIdentity | None
        self.on_notice: Callable[[str], None] = log.warning
        """Called with each repair of the store while it was open, as a sentence for the user."""

    @classmethod
    @asynccontextmanager
    async def open(cls, paths: Paths) -> AsyncIterator[Self]:
        """Open a file that `wsdash.backend.store.database.prepare` has prepared."""
        transactions = cls(paths)
        await transactions._connect()
        try:
            yield transactions
        finally:
            await transactions._connection.close()

    async def run(self, body: Callable[[], Awaitable[T]], token: int | None = None) -> T:
        """Run the body in one transaction; run it again if the file was replaced meanwhile.

        Cancelling the caller does not interrupt the transaction. Raises `LeaseLost` unless the `token` is the
        lease's, and `DatabaseError`.
        """
        running = asyncio.ensure_future(self._transact(body, token))
        # A later error has no caller; retrieve it, so that asyncio does not log it.
        running.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(running)

    async def _transact(self, body: Callable[[], Awaitable[T]], token: int | None) -> T:
        async with self._turn:
            return await self._on_present_file(lambda: self._attempt(body, token))

    async def _on_present_file(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run the work on the file now at the path, which is opened again if it was replaced or is damaged.

        Raises `DatabaseError`.
        """
        for tries_left in reversed(range(_TRIES)):
            try:
                if file_identity(self._paths.database) != self._identity:
                    await self._open_again("was replaced")
                return await work()
            except _Replaced:
                continue
            except sqlite3.Error as error:
                if is_full(error) and tries_left and drop_ballast(self._paths):
                    continue
                if not is_damage(error) or not tries_left:
                    raise DatabaseError(explain(error, self._paths.database)) from error
                await self._open_again(f"has changed ({error})")
        raise DatabaseError(f"{self._paths.database} is being replaced repeatedly. Try again.")

    async def _attempt(self, body: Callable[[], Awaitable[T]], token: int | None) -> T:
        await self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._check_identity()
            if token is not None:
                await self._guard(token)
            result = await body()
            await self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):  # the first error is reported
                    await self._connection.execute("ROLLBACK")
            raise
        # A commit into a file without a path would be acknowledged and lost.
        self._check_identity()
        return result

    def _check_identity(self) -> None:
        if file_identity(self._paths.database) != self._identity:
            raise _Replaced

    async def _guard(self, token: int) -> None:
        cursor = await self._connection.execute(
            "UPDATE lease SET token = token WHERE name = ? AND token = ?", (LEASE_NAME, token)
        )
        if cursor.rowcount == 0 or not self.holds_token(token):
            raise LeaseLost(f"token {token} is no longer the lease's")

    async def _connect(self) -> None:
        path = self._paths.database
        for _ in range(_TRIES):
            identity = file_identity(path)
            try:
                connection = await aiosqlite.connect(
                    f"{path.as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
                )
            except sqlite3.Error:
                if identity == file_identity(path):
                    raise
                continue
            try:
                connection.row_factory = sqlite3.Row
                for setting in settings(path):
                    await connection.execute(f"PRAGMA {setting}")
                await connection.execute_fetchall("SELECT 1 FROM sqlite_master")  # which opens the log
            except BaseException:
                await connection.close()
                raise
            if identity is not None and identity == file_identity(path):
                self._connection, self._identity, self._log = connection, identity, log_identity(path)
                return
            await connection.close()
        raise DatabaseError(f"{path} is being replaced repeatedly. Try again.")

    async def _open_again(self, why: str) -> None:
        """Open the file again. Raises `DatabaseError`, and `StateRemoved` if the state folder was removed."""
        await asyncio.to_thread(await_file, self._paths)
        if file_identity(self._paths.database) != self._identity:
            with suppress(OSError):  # a process with write permission will do it
                part_from_log(self._paths.database, self._log)
        before, identity = self._connection, self._identity
        try:
            notices = await asyncio.to_thread(prepare, self._paths, makes_folder=False)
            await self._connect()
        except PathError as error:
            raise DatabaseError(str(error)) from error
        except sqlite3.Error as error:
            raise DatabaseError(explain(error, self._paths.database)) from error
        await before.close()
        if identity != self._identity:
            self._lease_tokens.pop(identity, None)
            notices = [f"{self._paths.database} {why}; it was opened again.", *notices]
        for sentence in notices:
            self.on_notice(sentence)

    async def execute(self, sql: str, *values: object) -> aiosqlite.Cursor:
        """Execute a statement in the running transaction."""
        return await self._connection.execute(sql, values)

    async def executemany(self, sql: str, values: Iterable[Iterable[object]]) -> None:
        """Execute a statement in the running transaction, once for each row of values."""
        await self._connection.executemany(sql, values)

    async def one(self, sql: str, *values: object) -> sqlite3.Row | None:
        """Return the first row of a query in the running transaction."""
        found = list(await self._connection.execute_fetchall(sql, values))
        return found[0] if found else None

    async def read(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Run a query outside any transaction. Raises `DatabaseError`."""
        connection = self._connection
        if file_identity(self._paths.database) == self._identity:
            try:
                return list(await connection.execute_fetchall(sql, values))
            except ValueError:  # aiosqlite's error for a closed connection, here closed by `_open_again`
                pass
            except sqlite3.Error as error:
                if connection is self._connection and not is_damage(error):
                    raise DatabaseError(explain(error, self._paths.database)) from error

        async def read() -> list[sqlite3.Row]:
            return list(await self._connection.execute_fetchall(sql, values))

        async with self._turn:
            return await self._on_present_file(read)

    async def changed_elsewhere(self) -> bool:
        """Whether another connection has committed since the last call (SQLite's `data_version`).

        True also if the file was replaced.
        """
        if not self._watch.may_have_changed():
            return False
        found = await self.read("PRAGMA data_version")
        before, self._data_version = self._data_version, (self._identity, int(found[0][0]))
        return before != self._data_version

    # The token that this process holds, which is valid only in the present file.

    def holds_token(self, token: int) -> bool:
        """Whether this process acquired the lease with this token in the present file, and none since."""
        return self._lease_tokens.get(self._identity) == token

    def hold_token(self, token: int) -> None:
        """Remember the token with which the lease was acquired."""
        self._lease_tokens[self._identity] = token

    def drop_token(self, token: int) -> None:
        """Forget the token of a lease that was given up."""
        if self.holds_token(token):
            del self._lease_tokens[self._identity]
