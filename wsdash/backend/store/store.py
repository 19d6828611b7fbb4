"""Writes to the state store, and the reads that the reconciler needs.

An event is part of the transaction that it tells of.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from wsdash.backend.git.clone_address import taken_out, without_secrets
from wsdash.backend.store import mapping
from wsdash.backend.store.lease import LEASE_NAME, LEASE_S, Lease, lease_of
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.backend.store.transactions import Transactions
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.model import Attempt, Cause, Desired, End, JobObservation, Observation, UnsavedRecord, Workspace
from wsdash.workload import Workload


class NameTaken(Exception):
    """Another workspace has this name."""


class Store(Transactions):
    """The workspaces, attempts, events and the lease. Use one a process; other processes have their own."""

    lease_renewed_at: float = 0.0
    """When this process last extended the lease, on the boot-time clock."""

    # Wishes: what users ask for. They need no lease.

    async def create_workspace(
        self,
        workspace: Workspace,
        workload: Workload,
        text: str,
        kind: str = "created",
        evidence: Mapping[str, object] | None = None,
    ) -> None:
        """`kind`, `text` and `evidence` are of the first event in its timeline. Raises `NameTaken`."""

        async def write() -> None:
            await self._insert_workspace(workspace, workload)
            await self._event(workspace.created_at, workspace.id, None, "user", kind, text, evidence)

        await self._transaction(write)

    async def recovered(
        self, workspace: Workspace, workload: Workload, attempts: Iterable[Attempt], text: str
    ) -> None:
        """A workspace with its attempts, as a provider told of them. Raises `NameTaken`."""

        async def write() -> None:
            await self._insert_workspace(workspace, workload)
            for attempt in attempts:
                await self._insert_attempt(attempt)
                if attempt.end is not None:
                    await self._write_end(attempt, attempt.end)
            await self._event(workspace.changed_at, workspace.id, None, "user", "recovered", text)

        await self._transaction(write)

    async def update_workload(self, workspace_id: str, workload: Workload, now: float) -> None:
        """What its jobs run from the next one on. Raises `NoSuchWorkspace`."""

        async def write() -> None:
            cursor = await self._connection.execute(
                "UPDATE workspace SET workload = ?, changed_at = ? WHERE id = ? AND deleted_at IS NULL",
                (json.dumps(asdict(taken_out(workload)[0])), now, workspace_id),
            )
            if cursor.rowcount != 1:
                raise NoSuchWorkspace(workspace_id)
            await self._event(
                now, workspace_id, None, "user", "updated", "its job runs what its source says now", None
            )

        await self._transaction(write)

    async def wish(
        self, workspace_id: str, desired: Desired, *, renew: bool, now: float, text: str
    ) -> Workspace:
        """Record what the user wants now. `renew` asks for a new attempt and clears earlier crashes.

        Raises `NoSuchWorkspace`; a workspace that is wanted deleted cannot be wanted otherwise again.
        """

        async def write() -> Workspace:
            cursor = await self._connection.execute(
                f"UPDATE workspace SET desired = ?, generation = generation + ?, changed_at = ?"
                " WHERE id = ? AND deleted_at IS NULL AND (desired <> 'deleted' OR ? = 'deleted')"
                f" RETURNING {mapping.WORKSPACE_COLUMNS}",
                (desired, int(renew), now, workspace_id, desired),
            )
            row = await cursor.fetchone()
            if row is None:
                raise NoSuchWorkspace(workspace_id)
            kind = "restart" if renew and desired is Desired.RUNNING else desired.value
            await self._event(now, workspace_id, None, "user", f"wanted-{kind}", text)
            return mapping.workspace_of(row)

        return await self._transaction(write)

    async def extended(self, workspace_id: str, until: float, now: float, text: str) -> None:
        """The user wants no autostop before that."""

        async def write() -> None:
            await self._connection.execute(
                "UPDATE workspace SET extended_until = ? WHERE id = ?", (until, workspace_id)
            )
            await self._event(now, workspace_id, None, "user", "extended", text)

        await self._transaction(write)

    async def end_now_wished(self, attempt: Attempt, now: float, text: str) -> None:
        """The user ends this attempt's job at once, whatever the reconciler is waiting for."""

        async def write() -> None:
            await self._connection.execute(
                "UPDATE attempt SET cancel_requested_at = coalesce(cancel_requested_at, ?),"
                " cancel_reason = coalesce(cancel_reason, ?), cancel_cause = coalesce(cancel_cause, ?),"
                " force_cancelled_at = ? WHERE id = ?",
                (now, text, Cause.CANCELLED, now, attempt.id),
            )
            await self._event(now, attempt.workspace_id, attempt.number, "user", "end-now", text)

        await self._transaction(write)

    # What the reconciler writes. Each carries the token of its lease.

    async def intend(self, attempt: Attempt, token: int, text: str, evidence: Mapping[str, object]) -> None:
        """Commit an attempt before its job is asked for."""

        async def write() -> None:
            await self._insert_attempt(attempt)
            await self._event(
                attempt.intended_at,
                attempt.workspace_id,
                attempt.number,
                "reconciler",
                "launch",
                text,
                evidence,
            )

        await self._transaction(write, token)

    async def adopt(self, attempt: Attempt, token: int, now: float, text: str) -> None:
        """Record an attempt whose job the provider already has, known to this store or not."""

        async def write() -> None:
            await self._connection.execute("DELETE FROM attempt WHERE id = ?", (attempt.id,))
            await self._insert_attempt(attempt)
            await self._event(
                now,
                attempt.workspace_id,
                attempt.number,
                "reconciler",
                "adopt",
                text,
                {"job": attempt.job_id},
            )

        await self._transaction(write, token)

    async def launched(self, attempt: Attempt, job: JobObservation, token: int, now: float) -> None:
        """The provider's answer to a launch."""

        async def write() -> None:
            await self._connection.execute(
                "UPDATE attempt SET launched_at = ?, job_id = ?, url = ?, seen = ?, problem = NULL WHERE id = ?",
                (now, job.job_id, job.url, mapping.json_of(job), attempt.id),
            )

        await self._transaction(write, token)

    async def cancel_requested(
        self,
        attempt: Attempt,
        token: int,
        now: float,
        reason: str,
        cause: str,
        evidence: Mapping[str, object],
        *,
        autostop: bool = False,
    ) -> None:
        async def write() -> None:
            await self._connection.execute(
                "UPDATE attempt SET cancel_requested_at = ?, cancel_reason = ?, cancel_cause = ? WHERE id = ?",
                (now, reason, cause, attempt.id),
            )
            if autostop:
                await self._connection.execute(
                    "UPDATE workspace SET desired = 'stopped', changed_at = ?"
                    " WHERE id = ? AND desired = 'running'",
                    (now, attempt.workspace_id),
                )
            kind = "autostop" if autostop else "cancel"
            await self._event(now, attempt.workspace_id, attempt.number, "reconciler", kind, reason, evidence)

        await self._transaction(write, token)

    async def force_cancelled(
        self, attempt: Attempt, token: int, now: float, reason: str, evidence: Mapping[str, object]
    ) -> None:
        async def write() -> None:
            await self._connection.execute(
                "UPDATE attempt SET force_cancelled_at = ? WHERE id = ?", (now, attempt.id)
            )
            await self._event(
                now, attempt.workspace_id, attempt.number, "reconciler", "force-cancel", reason, evidence
            )

        await self._transaction(write, token)

    async def failed_to(
        self, workspace_id: str, attempt: Attempt | None, token: int, now: float, text: str
    ) -> None:
        """Tell of a call that the provider refused or did not answer, once for each new answer."""

        async def write() -> None:
            number = None if attempt is None else attempt.number
            await self._event_once(now, workspace_id, number, "provider-error", text, {})
            if attempt is not None:
                await self._connection.execute(
                    "UPDATE attempt SET problem = ? WHERE id = ?", (text, attempt.id)
                )

        await self._transaction(write, token)

    async def goes_on(self, workspace_id: str, token: int, now: float, text: str) -> None:
        """Tell what the provider is at, once."""

        async def write() -> None:
            await self._event_once(now, workspace_id, None, "goes-on", text, {})

        await self._transaction(write, token)

    async def problem_over(self, attempt: Attempt, token: int) -> None:
        """The provider did what it was asked for this attempt."""

        async def write() -> None:
            await self._connection.execute("UPDATE attempt SET problem = NULL WHERE id = ?", (attempt.id,))

        await self._transaction(write, token)

    async def cancel_withdrawn(self, attempt: Attempt, token: int, now: float, text: str) -> None:
        """A cancel for silence that did not reach the provider: the silence may have been our own."""

        async def write() -> None:
            await self._connection.execute(
                "UPDATE attempt SET cancel_requested_at = NULL, cancel_reason = NULL, cancel_cause = NULL,"
                " problem = NULL WHERE id = ?",
                (attempt.id,),
            )
            reason = f"the cancel is withdrawn, for the provider could not be asked: {text}"
            await self._event(now, attempt.workspace_id, attempt.number, "reconciler", "withdrawn", reason)

        await self._transaction(write, token)

    async def gave_up(self, attempt: Attempt, token: int, now: float, reason: str) -> None:
        async def write() -> None:
            await self._event_once(
                now, attempt.workspace_id, attempt.number, "gave-up", reason, _evidence_of(attempt.end)
            )

        await self._transaction(write, token)

    async def ended(self, attempt: Attempt, end: End, token: int, text: str) -> None:
        """Record that an attempt's job is known to have ended, with its last observation kept."""

        async def write() -> None:
            await self._end(attempt, end, text)

        await self._transaction(write, token)

    async def destroyed(
        self,
        workspace_id: str,
        token: int,
        now: float,
        text: str,
        evidence: Mapping[str, object],
        left: str | None = None,
    ) -> None:
        """The tombstone: the name is free again, the timeline stays, and so does what is `left` of it."""

        async def write() -> None:
            await self._connection.execute(
                "UPDATE workspace SET deleted_at = ?, desired = 'deleted' WHERE id = ?", (now, workspace_id)
            )
            await self._event(now, workspace_id, None, "reconciler", "deleted", text, evidence)
            if left is not None:
                await self._event(now, workspace_id, None, "reconciler", "left-behind", left)

        await self._transaction(write, token)

    async def unsaved_found(
        self, workspace_id: str, token: int, now: float, record: UnsavedRecord, kind: str, text: str
    ) -> None:
        """What only the workspace has; told, if there is a `text`, unless it was the last that was told of it."""

        async def write() -> None:
            await self._connection.execute(
                "UPDATE workspace SET unsaved = ? WHERE id = ?", (mapping.json_of(record), workspace_id)
            )
            if text:
                await self._event_once(now, workspace_id, None, kind, text, {})

        await self._transaction(write, token)

    async def unsaved_told(self, workspace_id: str, record: UnsavedRecord) -> None:
        """What only the workspace has, as a user's question has found it."""

        async def write() -> None:
            await self._connection.execute(
                "UPDATE workspace SET unsaved = ? WHERE id = ? AND deleted_at IS NULL",
                (mapping.json_of(record), workspace_id),
            )

        await self._transaction(write)

    async def let_go(self, workspace_id: str, token: int, now: float, text: str) -> None:
        """Another store keeps it alive: a tombstone here, and nothing of it is ended or removed."""

        async def write() -> None:
            await self._connection.execute(
                "UPDATE workspace SET deleted_at = ?, desired = 'deleted' WHERE id = ?", (now, workspace_id)
            )
            await self._event(now, workspace_id, None, "reconciler", "let-go", text)

        await self._transaction(write, token)

    async def observed(
        self,
        context: str,
        observation: Observation,
        changed: Iterable[tuple[Attempt, JobObservation]],
        ends: Iterable[tuple[Attempt, End, str]],
        told: Iterable[tuple[Attempt, str, str, Mapping[str, object]]],
        token: int,
        now: float,
        boot_now: float,
    ) -> None:
        """One look at a context, in one transaction: what changed, what ended, and what jobs told of.

        It renews the lease as well; `boot_now` is on the boot-time clock.
        """

        async def write() -> None:
            await self._connection.execute(
                "INSERT INTO look VALUES (?, ?, ?, ?, ?) ON CONFLICT (context) DO UPDATE SET at = excluded.at,"
                " reachable = excluded.reachable, watching_since = excluded.watching_since,"
                " problem = excluded.problem",
                (
                    context,
                    observation.at,
                    int(observation.reachable),
                    observation.watching_since,
                    observation.problem,
                ),
            )
            await self._connection.executemany(
                "UPDATE attempt SET seen = ? WHERE id = ?",
                [(mapping.json_of(job), attempt.id) for attempt, job in changed],
            )
            for attempt, kind, text, evidence in told:
                await self._event(now, attempt.workspace_id, attempt.number, "job", kind, text, evidence)
            for attempt, end, text in ends:
                await self._end(attempt, end, text)
            await self._extend_lease(boot_now)

        await self._transaction(write, token)

    # The lease.

    async def acquire_lease(self, owner: str, holder: ProcessIdentity, now: float) -> int | None:
        """The token, if the lease was free, had run out, or its holder is gone; else None.

        `now` is on the boot-time clock.
        """

        async def write() -> int | None:
            row = await self._one("SELECT * FROM lease WHERE name = ?", LEASE_NAME)
            if row is not None and self.is_held(lease_of(row), now):
                return None
            token = 1 if row is None else int(row["token"]) + 1
            await self._connection.execute(
                "INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?, ?, ?)",
                (LEASE_NAME, token, owner, holder.boot_id, holder.pid, holder.ticks, now + LEASE_S),
            )
            self.lease_renewed_at = now
            return token

        token = await self._transaction(write)
        if token is not None:
            self._tokens[self._identity] = token
        return token

    def is_held(self, lease: Lease, now: float) -> bool:
        """Whether its holder may still act. `now` is on the boot-time clock.

        A restored or copied file may say that this process holds it, by a token of another file or of earlier.
        """
        if lease.holder == ProcessIdentity.own() and self._tokens.get(self._identity) != lease.token:
            return False
        return lease.is_held(now)

    async def renew_lease(self, token: int, now: float) -> None:
        """Raises `LeaseLost`."""

        async def write() -> None:
            await self._extend_lease(now)

        await self._transaction(write, token)

    async def release_lease(self, token: int) -> None:
        """Let the next process have it at once. Nothing happens if it is another's already.

        Where that cannot be written down now, this process may still have it anew.
        """
        if self._tokens.get(self._identity) == token:
            del self._tokens[self._identity]

        async def write() -> None:
            await self._connection.execute(
                "UPDATE lease SET expires_at = 0 WHERE name = ? AND token = ?", (LEASE_NAME, token)
            )

        await self._transaction(write)

    async def lease(self) -> Lease | None:
        found = await self._read("SELECT * FROM lease WHERE name = ?", LEASE_NAME)
        return lease_of(found[0]) if found else None

    # Reads.

    async def workspaces(self) -> list[Workspace]:
        """Those that are not deleted."""
        found = await self._read(
            f"SELECT {mapping.WORKSPACE_COLUMNS} FROM workspace WHERE deleted_at IS NULL"
        )
        return [mapping.workspace_of(row) for row in found]

    async def workspace(self, workspace_id: str) -> Workspace:
        """Raises `NoSuchWorkspace`."""
        found = await self._read(
            f"SELECT {mapping.WORKSPACE_COLUMNS} FROM workspace WHERE id = ?", workspace_id
        )
        if not found:
            raise NoSuchWorkspace(workspace_id)
        return mapping.workspace_of(found[0])

    async def workload(self, workspace_id: str) -> Workload:
        """What the workspace's job runs. Raises `NoSuchWorkspace`."""
        from pydantic import TypeAdapter

        found = await self._read("SELECT workload FROM workspace WHERE id = ?", workspace_id)
        if not found:
            raise NoSuchWorkspace(workspace_id)
        return taken_out(TypeAdapter(Workload).validate_json(found[0]["workload"]))[0]

    async def attempts(self, workspace_id: str) -> list[Attempt]:
        """All of them, oldest first."""
        found = await self._read("SELECT * FROM attempt WHERE workspace_id = ? ORDER BY number", workspace_id)
        return [mapping.attempt_of(row) for row in found]

    async def recent_attempts(self) -> dict[str, list[Attempt]]:
        """By workspace, oldest first: the live ones, and all of the present generation."""
        attempts: dict[str, list[Attempt]] = {}
        for row in await self._read(
            "SELECT attempt.* FROM attempt JOIN workspace ON workspace.id = workspace_id"
            " WHERE deleted_at IS NULL AND (ended_at IS NULL OR attempt.generation = workspace.generation)"
            " ORDER BY number"
        ):
            attempts.setdefault(row["workspace_id"], []).append(mapping.attempt_of(row))
        return attempts

    async def changed_elsewhere(self) -> bool:
        """Whether another connection has committed since this was last asked (SQLite's `data_version`).

        So it is where the file is another one.
        """
        if not self._watch.may_have_changed():
            return False
        found = await self._read("PRAGMA data_version")
        before, self._data_version = self._data_version, (self._identity, int(found[0][0]))
        return before != self._data_version

    # Small helpers.

    async def _extend_lease(self, boot_now: float) -> None:
        await self._connection.execute(
            "UPDATE lease SET expires_at = ? WHERE name = ?", (boot_now + LEASE_S, LEASE_NAME)
        )
        self.lease_renewed_at = boot_now

    async def _insert_workspace(self, workspace: Workspace, workload: Workload) -> None:
        try:
            await self._connection.execute(
                f"INSERT INTO workspace ({mapping.WORKSPACE_COLUMNS}, workload)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
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
                    workspace.changed_at,
                    workspace.deleted_at,
                    workspace.extended_until,
                    None if workspace.unsaved is None else mapping.json_of(workspace.unsaved),
                    json.dumps(asdict(taken_out(workload)[0])),
                ),
            )
        except sqlite3.IntegrityError as error:
            raise NameTaken(workspace.name) from error

    async def _insert_attempt(self, attempt: Attempt) -> None:
        await self._connection.execute(
            "INSERT INTO attempt (id, workspace_id, number, generation, intended_at, launched_at, job_id, url, seen)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                attempt.id,
                attempt.workspace_id,
                attempt.number,
                attempt.generation,
                attempt.intended_at,
                attempt.launched_at,
                attempt.job_id,
                attempt.url,
                None if attempt.seen is None else mapping.json_of(attempt.seen),
            ),
        )

    async def _write_end(self, attempt: Attempt, end: End) -> None:
        await self._connection.execute(
            "UPDATE attempt SET ended_at = ?, end_cause = ?, end_exit_code = ?, end_message = ?"
            " WHERE id = ? AND ended_at IS NULL",
            (end.at, end.cause, end.exit_code, end.message, attempt.id),
        )

    async def _end(self, attempt: Attempt, end: End, text: str) -> None:
        await self._write_end(attempt, end)
        await self._event(
            end.at, attempt.workspace_id, attempt.number, "job", "ended", text, _evidence_of(end)
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
        await self._connection.execute(
            "INSERT INTO event (at, workspace_id, attempt, actor, kind, text, evidence)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (at, workspace_id, attempt, actor, kind, text, json.dumps(evidence or {})),
        )

    async def _event_once(
        self,
        at: float,
        workspace_id: str,
        attempt: int | None,
        kind: str,
        text: str,
        evidence: Mapping[str, object],
    ) -> None:
        """Tell it unless it is the last thing that was told of this workspace."""
        last = await self._one(
            "SELECT attempt, kind, text FROM event WHERE workspace_id = ? ORDER BY id DESC LIMIT 1",
            workspace_id,
        )
        if last is None or (last["attempt"], last["kind"], last["text"]) != (attempt, kind, text):
            await self._event(at, workspace_id, attempt, "reconciler", kind, text, evidence)


def _evidence_of(end: End | None) -> dict[str, object]:
    if end is None:
        return {}
    return {"cause": end.cause, "exit_code": end.exit_code, "message": end.message}
