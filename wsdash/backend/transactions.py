"""How the state store is written to: one short transaction after the other.

Every write is begun with `BEGIN IMMEDIATE`, so that it either has the lock or waits for it, and no provider
is called inside. A write of the reconciler carries the token of its lease; where that is no longer the
lease's, nothing is changed and `LeaseLost` is raised.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiosqlite

from wsdash.backend.changes import FileWatch
from wsdash.backend.database import DatabaseError, drop_ballast, explain, is_full
from wsdash.backend.lease import LEASE_NAME, LeaseLost
from wsdash.paths import Paths

T = TypeVar("T")


class Transactions:
    """One connection to the state store, and the turn of those who write through it."""

    def __init__(self, connection: aiosqlite.Connection, paths: Paths) -> None:
        self._connection = connection
        self._paths = paths
        self._turn = asyncio.Lock()
        self._watch = FileWatch(paths.database)
        self._data_version = 0

    async def _transaction(self, body: Callable[[], Awaitable[T]], token: int | None = None) -> T:
        """Run the body in one transaction. A caller that is cancelled does not tear it."""
        return await asyncio.shield(asyncio.ensure_future(self._transact(body, token)))

    async def _transact(self, body: Callable[[], Awaitable[T]], token: int | None) -> T:
        async with self._turn:
            try:
                try:
                    return await self._attempt(body, token)
                except sqlite3.Error as error:
                    if not (is_full(error) and drop_ballast(self._paths)):
                        raise
                    return await self._attempt(body, token)
            except sqlite3.Error as error:
                raise DatabaseError(explain(error, self._paths.database)) from error

    async def _attempt(self, body: Callable[[], Awaitable[T]], token: int | None) -> T:
        await self._connection.execute("BEGIN IMMEDIATE")
        try:
            if token is not None:
                await self._guard(token)
            result = await body()
            await self._connection.execute("COMMIT")
            return result
        except BaseException:
            if self._connection.in_transaction:
                await self._connection.execute("ROLLBACK")
            raise

    async def _guard(self, token: int) -> None:
        cursor = await self._connection.execute(
            "UPDATE lease SET token = token WHERE name = ? AND token = ?", (LEASE_NAME, token)
        )
        if cursor.rowcount == 0:
            raise LeaseLost(f"token {token} is no longer the lease's")

    async def _one(self, sql: str, *values: object) -> sqlite3.Row | None:
        cursor = await self._connection.execute(sql, values)
        return await cursor.fetchone()

    async def _all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        return list(await self._connection.execute_fetchall(sql, values))
