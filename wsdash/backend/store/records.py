"""The part shared by the user's store and the reconciler's: transactions, reads, and rows that both write.

An event is written in the transaction of the change that it describes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from wsdash.backend.clone_address import taken_out
from wsdash.backend.store import mapping
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.backend.store.transactions import Transactions
from wsdash.model import Attempt, End, Workspace
from wsdash.workload import Workload

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound="Records")


def transaction(
    method: Callable[Concatenate[R, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[R, P], Coroutine[Any, Any, T]]:
    """Run the method in one transaction, under the store's fencing token if it has one.

    The method may be run again, so it must not keep any state. Raises as `Transactions.run`.
    """

    @wraps(method)
    async def run(self: R, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.transactions.run(lambda: method(self, *args, **kwargs), self.token)

    return run


class Records:
    """Workspaces, attempts and events, through one connection."""

    token: int | None = None
    """The fencing token that writes require; None if they need none."""

    def __init__(self, transactions: Transactions) -> None:
        self.transactions = transactions

    async def workspaces(self) -> list[Workspace]:
        """Return all workspaces that are not deleted."""
        found = await self.transactions.read(
            f"SELECT {mapping.WORKSPACE_COLUMNS} FROM workspace WHERE deleted_at IS NULL"
        )
        return [mapping.workspace_of(row) for row in found]

    async def workspace(self, workspace_id: str) -> Workspace:
        """Return one workspace by its id. Raises `NoSuchWorkspace`."""
        found = await self.transactions.read(
            f"SELECT {mapping.WORKSPACE_COLUMNS} FROM workspace WHERE id = ?", workspace_id
        )
        if not found:
            raise NoSuchWorkspace(workspace_id)
        return mapping.workspace_of(found[0])

    async def workload(self, workspace_id: str) -> Workload:
        """Return the workload of the workspace's job. Raises `NoSuchWorkspace`, also if it was deleted."""
        from pydantic import TypeAdapter

        found = await self.transactions.read(
            "SELECT workload FROM workspace WHERE id = ? AND deleted_at IS NULL", workspace_id
        )
        if not found:
            raise NoSuchWorkspace(workspace_id)
        return taken_out(TypeAdapter(Workload).validate_json(found[0]["workload"]))[0]

    async def attempts(self, workspace_id: str) -> list[Attempt]:
        """Return all attempts of the workspace, oldest first."""
        found = await self.transactions.read(
            "SELECT * FROM attempt WHERE workspace_id = ? ORDER BY number", workspace_id
        )
        return [mapping.attempt_of(row) for row in found]

    # Rows that are written within a transaction.

    async def _insert_attempt(self, attempt: Attempt) -> None:
        await self.transactions.execute(
            "INSERT INTO attempt (id, workspace_id, number, generation, intended_at, launched_at, job_id, url,"
            " last_observation)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            attempt.id,
            attempt.workspace_id,
            attempt.number,
            attempt.generation,
            attempt.intended_at,
            attempt.launched_at,
            attempt.job_id,
            attempt.url,
            None if attempt.last_observation is None else mapping.json_of(attempt.last_observation),
        )

    async def _write_end(self, attempt: Attempt, end: End) -> None:
        await self.transactions.execute(
            "UPDATE attempt SET ended_at = ?, end_cause = ?, end_exit_code = ?, end_message = ?"
            " WHERE id = ? AND ended_at IS NULL",
            end.at,
            end.cause,
            end.exit_code,
            end.message,
            attempt.id,
        )

    async def _event(
        self,
        at: float,
        workspace_id: str,
        attempt: int | None,
        actor: str,
        kind: str,
        text: str,
        evidence: Mapping[str, object] | None = None,
    ) -> None:
        await self.transactions.execute(
            "INSERT INTO event (created_at, workspace_id, attempt, actor, kind, text, evidence)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            at,
            workspace_id,
            attempt,
            actor,
            kind,
            text,
            json.dumps(evidence or {}),
        )
