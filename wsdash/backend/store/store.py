"""The user's side of the state store: commands are committed here, and the reconciler carries them out."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Self

from wsdash.backend.clone_address import taken_out, without_secrets
from wsdash.backend.store import mapping
from wsdash.backend.store.lease import LEASE_NAME, Lease, lease_of
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.backend.store.records import Records, transaction
from wsdash.backend.store.transactions import Transactions
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.model import Attempt, Cause, Desired, UnsavedRecord, Workspace
from wsdash.paths import Paths
from wsdash.workload import Workload


class NameTaken(Exception):
    """Another workspace has this name."""


class Store(Records):
    """The writes that need no lease. One instance per process; several processes may write."""

    @classmethod
    @asynccontextmanager
    async def open(cls, paths: Paths) -> AsyncIterator[Self]:
        """Open a file that `wsdash.backend.store.database.prepare` has prepared."""
        async with Transactions.open(paths) as transactions:
            yield cls(transactions)

    @transaction
    async def create_workspace(
        self,
        workspace: Workspace,
        workload: Workload,
        text: str,
        kind: str = "created",
        evidence: Mapping[str, object] | None = None,
    ) -> None:
        """Add a workspace. `kind`, `text` and `evidence` are of its first event. Raises `NameTaken`."""
        await self._insert_workspace(workspace, workload)
        await self._event(workspace.created_at, workspace.id, None, "user", kind, text, evidence)

    @transaction
    async def restore_workspace(
        self, workspace: Workspace, workload: Workload, attempts: Iterable[Attempt], text: str
    ) -> None:
        """Add a workspace with its attempts, as found at a provider. Raises `NameTaken`."""
        await self._insert_workspace(workspace, workload)
        for attempt in attempts:
            await self._insert_attempt(attempt)
            if attempt.end is not None:
                await self._write_end(attempt, attempt.end)
        await self._event(workspace.desired_changed_at, workspace.id, None, "user", "recovered", text)

    @transaction
    async def set_desired_state(
        self, workspace_id: str, desired: Desired, *, new_generation: bool, now: float, text: str
    ) -> Workspace:
        """Record the desired state. `new_generation` asks for a new attempt and clears earlier crashes.

        Raises `NoSuchWorkspace`; the desired state "deleted" cannot be changed.
        """
        cursor = await self.transactions.execute(
            f"UPDATE workspace SET desired = ?, generation = generation + ?, desired_changed_at = ?"
            " WHERE id = ? AND deleted_at IS NULL AND (desired <> 'deleted' OR ? = 'deleted')"
            f" RETURNING {mapping.WORKSPACE_COLUMNS}",
            desired,
            int(new_generation),
            now,
            workspace_id,
            desired,
        )
        row = await cursor.fetchone()
        if row is None:
            raise NoSuchWorkspace(workspace_id)
        kind = "restart" if new_generation and desired is Desired.RUNNING else desired.value
        await self._event(now, workspace_id, None, "user", f"wanted-{kind}", text)
        return mapping.workspace_of(row)

    @transaction
    async def update_workload(self, workspace_id: str, workload: Workload, now: float) -> None:
        """Set the workload of the next jobs. Raises `NoSuchWorkspace`."""
        cursor = await self.transactions.execute(
            "UPDATE workspace SET workload = ?, desired_changed_at = ? WHERE id = ? AND deleted_at IS NULL",
            _json_of(workload),
            now,
            workspace_id,
        )
        if cursor.rowcount != 1:
            raise NoSuchWorkspace(workspace_id)
        text = "its next job uses the current devfile of its source"
        await self._event(now, workspace_id, None, "user", "updated", text)

    @transaction
    async def extend(self, workspace_id: str, until: float, now: float, text: str) -> None:
        """Postpone autostop until `until`, in seconds since the epoch."""
        await self.transactions.execute(
            "UPDATE workspace SET autostop_not_before = ? WHERE id = ?", until, workspace_id
        )
        await self._event(now, workspace_id, None, "user", "extended", text)

    @transaction
    async def request_force_cancel(self, attempt: Attempt, now: float, text: str) -> None:
        """Request that this attempt's job ends at once, without its grace period."""
        await self.transactions.execute(
            "UPDATE attempt SET cancel_requested_at = coalesce(cancel_requested_at, ?),"
            " cancel_reason = coalesce(cancel_reason, ?), cancel_cause = coalesce(cancel_cause, ?),"
            " force_cancelled_at = ? WHERE id = ?",
            now,
            text,
            Cause.CANCELLED,
            now,
            attempt.id,
        )
        await self._event(now, attempt.workspace_id, attempt.number, "user", "end-now", text)

    @transaction
    async def record_unsaved(self, workspace_id: str, record: UnsavedRecord) -> None:
        """Record unsaved work that was found because the user asked."""
        await self.transactions.execute(
            "UPDATE workspace SET unsaved = ? WHERE id = ? AND deleted_at IS NULL",
            mapping.json_of(record),
            workspace_id,
        )

    async def lease(self) -> Lease | None:
        """Return the reconciler's lease as last taken."""
        found = await self.transactions.read("SELECT * FROM lease WHERE name = ?", LEASE_NAME)
        return lease_of(found[0]) if found else None

    def is_held(self, lease: Lease, now: float) -> bool:
        """Whether the lease's holder may still act. `now` is on the boot-time clock, in seconds.

        A restored or copied file may name this process as the holder, by a token of another file or of an earlier time.
        """
        is_own = lease.holder == ProcessIdentity.own()
        return (not is_own or self.transactions.holds_token(lease.token)) and lease.is_held(now)

    async def _insert_workspace(self, workspace: Workspace, workload: Workload) -> None:
        try:
            await self.transactions.execute(
                f"INSERT INTO workspace ({mapping.WORKSPACE_COLUMNS}, workload)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                workspace.id,
                workspace.name,
                workspace.context,
                workspace.source_url and without_secrets(workspace.source_url),
                workspace.ref,
                workspace.devfile_path,
                workspace.desired,
                workspace.generation,
                mapping.json_of(workspace.policy),
                workspace.created_at,
                workspace.desired_changed_at,
                workspace.deleted_at,
                workspace.autostop_not_before,
                None if workspace.unsaved is None else mapping.json_of(workspace.unsaved),
                _json_of(workload),
            )
        except sqlite3.IntegrityError as error:
            raise NameTaken(workspace.name) from error


def _json_of(workload: Workload) -> str:
    return json.dumps(asdict(taken_out(workload)[0]))
