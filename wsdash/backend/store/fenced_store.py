"""The reconciler's side of the state store: each transaction first checks that this process still holds the
lease.

A paused process that was replaced and then resumes can change nothing, which a lease alone would not prevent
(fencing: https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from wsdash import __version__
from wsdash.backend.store import mapping
from wsdash.backend.store.lease import LEASE_NAME, LEASE_S, lease_of
from wsdash.backend.store.records import Records, transaction
from wsdash.backend.store.store import Store
from wsdash.backend.store.transactions import Transactions
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.model import Attempt, End, JobObservation, Observation, UnsavedRecord, Workspace


@dataclass(frozen=True, slots=True)
class JobEvent:
    """An event that a job reported, for its workspace's timeline."""

    attempt: Attempt
    kind: str
    text: str
    evidence: Mapping[str, object]


class FencedStore(Records):
    """The writes of the lease's holder. Each raises `LeaseLost` once another process holds the lease."""

    def __init__(self, transactions: Transactions, token: int, renewed_at: float = 0.0) -> None:
        super().__init__(transactions)
        self.token: int = token
        self.renewed_at = renewed_at
        """The last renewal of the lease, on the boot-time clock."""

    # The lease.

    @classmethod
    async def acquire(cls, store: Store, owner: str, holder: ProcessIdentity, boot_now: float) -> Self | None:
        """Take the lease if it is free, has expired, or its holder has ended; else return None.

        `owner` is the kind of process, `dashboard` or `daemon`; `boot_now` is on the boot-time clock, in
        seconds.
        """
        transactions = store.transactions

        async def take() -> int | None:
            row = await transactions.one("SELECT * FROM lease WHERE name = ?", LEASE_NAME)
            if row is not None and store.is_held(lease_of(row), boot_now):
                return None
            token = 1 if row is None else int(row["token"]) + 1
            await transactions.execute(
                "INSERT OR REPLACE INTO lease (name, token, owner, boot_id, pid, pid_start, expires_at, version)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                LEASE_NAME,
                token,
                owner,
                holder.boot_id,
                holder.pid,
                holder.ticks,
                boot_now + LEASE_S,
                __version__,
            )
            return token

        token = await transactions.run(take)
        if token is None:
            return None
        transactions.hold_token(token)
        return cls(transactions, token, boot_now)

    @transaction
    async def renew(self, boot_now: float) -> None:
        """Extend the lease. Raises `LeaseLost`."""
        await self._extend_lease(boot_now)

    async def give_up_lease(self) -> None:
        """Release the lease for the next process. Does nothing if another process holds it already.

        If the release cannot be written now, this process may still acquire the lease again.
        """
        self.transactions.drop_token(self.token)

        async def expire() -> None:
            await self.transactions.execute(
                "UPDATE lease SET expires_at = 0 WHERE name = ? AND token = ?", LEASE_NAME, self.token
            )

        await self.transactions.run(expire)

    # Reads for one context.

    async def workspaces_in(self, context: str) -> list[Workspace]:
        """Return the context's workspaces that are not deleted."""
        found = await self.transactions.read(
            f"SELECT {mapping.WORKSPACE_COLUMNS} FROM workspace WHERE context = ? AND deleted_at IS NULL",
            context,
        )
        return [mapping.workspace_of(row) for row in found]

    async def recent_attempts_in(self, context: str) -> dict[str, list[Attempt]]:
        """Return the context's attempts by workspace, oldest first: the live ones, and all of the present
        generation.
        """
        attempts: dict[str, list[Attempt]] = {}
        for row in await self.transactions.read(
            "SELECT attempt.* FROM workspace JOIN attempt ON attempt.workspace_id = workspace.id"
            " WHERE workspace.context = ? AND workspace.deleted_at IS NULL"
            " AND (attempt.ended_at IS NULL OR attempt.generation = workspace.generation)"
            " ORDER BY attempt.number",
            context,
        ):
            attempts.setdefault(row["workspace_id"], []).append(mapping.attempt_of(row))
        return attempts

    async def is_live(self, attempt_id: str) -> bool:
        """Whether the attempt is on record, in any context, and not known to have ended."""
        return bool(
            await self.transactions.read(
                "SELECT 1 FROM attempt JOIN workspace ON workspace.id = workspace_id"
                " WHERE attempt.id = ? AND ended_at IS NULL AND deleted_at IS NULL",
                attempt_id,
            )
        )

    # Jobs: intent, launch, observation, end.

    @transaction
    async def record_intent(self, attempt: Attempt, text: str, evidence: Mapping[str, object]) -> None:
        """Commit an attempt before its job is requested."""
        await self._insert_attempt(attempt)
        await self._event_of(attempt, attempt.intended_at, "launch", text, evidence)

    @transaction
    async def record_launch(self, attempt: Attempt, job: JobObservation, now: float) -> None:
        """Record the provider's answer to a launch."""
        await self.transactions.execute(
            "UPDATE attempt SET launched_at = ?, job_id = ?, url = ?, last_observation = ?,"
            " last_error = NULL WHERE id = ?",
            now,
            job.job_id,
            job.url,
            mapping.json_of(job),
            attempt.id,
        )

    @transaction
    async def adopt(self, attempt: Attempt, now: float, text: str) -> None:
        """Record an attempt whose job the provider already has, known to this store or not."""
        await self.transactions.execute("DELETE FROM attempt WHERE id = ?", attempt.id)
        await self._insert_attempt(attempt)
        await self._event_of(attempt, now, "adopt", text, {"job": attempt.job_id})

    @transaction
    async def record_observation(
        self,
        context: str,
        observation: Observation,
        changed: Iterable[tuple[Attempt, JobObservation]],
        ends: Iterable[tuple[Attempt, End]],
        events: Iterable[JobEvent],
        now: float,
        boot_now: float,
    ) -> None:
        """Record one observation of a context: changed jobs, ended jobs, and events that jobs reported.

        It also renews the lease; `boot_now` is on the boot-time clock, in seconds.
        """
        await self.transactions.execute(
            "INSERT INTO context_observation (context, observed_at, reachable, watching_since, last_error)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (context) DO UPDATE SET observed_at = excluded.observed_at,"
            " reachable = excluded.reachable, watching_since = excluded.watching_since,"
            " last_error = excluded.last_error",
            context,
            observation.at,
            int(observation.reachable),
            observation.watching_since,
            observation.last_error,
        )
        await self.transactions.executemany(
            "UPDATE attempt SET last_observation = ? WHERE id = ?",
            [(mapping.json_of(job), attempt.id) for attempt, job in changed],
        )
        for event in events:
            await self._event_of(event.attempt, now, event.kind, event.text, event.evidence, actor="job")
        for attempt, end in ends:
            await self._end(attempt, end)
        await self._extend_lease(boot_now)

    @transaction
    async def record_end(self, attempt: Attempt, end: End) -> None:
        """Record that the attempt's job has ended; its last observation is kept."""
        await self._end(attempt, end)

    # Cancelling.

    @transaction
    async def record_cancel(
        self,
        attempt: Attempt,
        now: float,
        reason: str,
        cause: str,
        evidence: Mapping[str, object],
        *,
        autostop: bool = False,
    ) -> None:
        """Commit a cancel before the job is asked to end. With `autostop` the desired state becomes stopped."""
        await self.transactions.execute(
            "UPDATE attempt SET cancel_requested_at = ?, cancel_reason = ?, cancel_cause = ? WHERE id = ?",
            now,
            reason,
            cause,
            attempt.id,
        )
        if autostop:
            await self.transactions.execute(
                "UPDATE workspace SET desired = 'stopped', desired_changed_at = ?"
                " WHERE id = ? AND desired = 'running'",
                now,
                attempt.workspace_id,
            )
        await self._event_of(attempt, now, "autostop" if autostop else "cancel", reason, evidence)

    @transaction
    async def record_force_cancel(
        self, attempt: Attempt, now: float, reason: str, evidence: Mapping[str, object]
    ) -> None:
        """Commit a force-cancel before the job is killed."""
        await self.transactions.execute(
            "UPDATE attempt SET force_cancelled_at = ? WHERE id = ?", now, attempt.id
        )
        await self._event_of(attempt, now, "force-cancel", reason, evidence)

    @transaction
    async def withdraw_cancel(self, attempt: Attempt, now: float, text: str) -> None:
        """Withdraw a cancel for silence that did not reach the provider: our own connection may have failed."""
        await self.transactions.execute(
            "UPDATE attempt SET cancel_requested_at = NULL, cancel_reason = NULL, cancel_cause = NULL,"
            " last_error = NULL WHERE id = ?",
            attempt.id,
        )
        reason = f"the cancel is withdrawn, because the provider did not answer: {text}"
        await self._event_of(attempt, now, "cancel-withdrawn", reason)

    # Other answers of a provider.

    @transaction
    async def record_provider_error(
        self, workspace_id: str, attempt: Attempt | None, now: float, text: str
    ) -> None:
        """Record a call that the provider refused or did not answer; each different error is one event."""
        number = None if attempt is None else attempt.number
        await self._new_event(now, workspace_id, number, "provider-error", text)
        if attempt is not None:
            await self.transactions.execute(
                "UPDATE attempt SET last_error = ? WHERE id = ?", text, attempt.id
            )

    @transaction
    async def clear_provider_error(self, attempt: Attempt) -> None:
        """Record that the provider carried out the call for this attempt."""
        await self.transactions.execute("UPDATE attempt SET last_error = NULL WHERE id = ?", attempt.id)

    @transaction
    async def record_progress(self, workspace_id: str, now: float, text: str) -> None:
        """Record the provider's progress report; each different report is one event."""
        await self._new_event(now, workspace_id, None, "in-progress", text)

    @transaction
    async def record_give_up(self, attempt: Attempt, now: float, reason: str) -> None:
        """Record that no job replaces this attempt's until the user asks for one."""
        evidence = {} if attempt.end is None else _evidence_of(attempt.end)
        await self._new_event(now, attempt.workspace_id, attempt.number, "gave-up", reason, evidence)

    @transaction
    async def record_unsaved(
        self, workspace_id: str, now: float, record: UnsavedRecord, kind: str, text: str
    ) -> None:
        """Record the workspace's unsaved work; with a `text`, add an event of this `kind` unless it equals the
        last one.
        """
        await self.transactions.execute(
            "UPDATE workspace SET unsaved = ? WHERE id = ?", mapping.json_of(record), workspace_id
        )
        if text:
            await self._new_event(now, workspace_id, None, kind, text)

    # The end of a workspace: a tombstone. Its name is free again, its timeline stays, and its workload does not:
    # an environment may hold what was meant for the workspace alone.

    @transaction
    async def record_deletion(
        self,
        workspace_id: str,
        now: float,
        text: str,
        evidence: Mapping[str, object],
        leftovers: str | None = None,
    ) -> None:
        """Record that the workspace was deleted; `leftovers` says what the provider could not remove."""
        await self._bury(workspace_id, now)
        await self._event(now, workspace_id, None, "reconciler", "deleted", text, evidence)
        if leftovers is not None:
            await self._event(now, workspace_id, None, "reconciler", "leftovers", leftovers)

    @transaction
    async def release(self, workspace_id: str, now: float, text: str) -> None:
        """Record that another store manages the workspace now: this one no longer ends or removes any part of it."""
        await self._bury(workspace_id, now)
        await self._event(now, workspace_id, None, "reconciler", "released", text)

    # Within a transaction.

    async def _bury(self, workspace_id: str, now: float) -> None:
        await self.transactions.execute(
            "UPDATE workspace SET deleted_at = ?, desired = 'deleted', workload = '{}' WHERE id = ?",
            now,
            workspace_id,
        )

    async def _extend_lease(self, boot_now: float) -> None:
        await self.transactions.execute(
            "UPDATE lease SET expires_at = ? WHERE name = ?", boot_now + LEASE_S, LEASE_NAME
        )
        self.renewed_at = boot_now

    async def _end(self, attempt: Attempt, end: End) -> None:
        await self._write_end(attempt, end)
        text = f"job #{attempt.number} ended: {end.headline}"
        await self._event_of(attempt, end.at, "ended", text, _evidence_of(end), actor="job")

    async def _event_of(
        self,
        attempt: Attempt,
        at: float,
        kind: str,
        text: str,
        evidence: Mapping[str, object] | None = None,
        *,
        actor: str = "reconciler",
    ) -> None:
        await self._event(at, attempt.workspace_id, attempt.number, actor, kind, text, evidence)

    async def _new_event(
        self,
        at: float,
        workspace_id: str,
        attempt: int | None,
        kind: str,
        text: str,
        evidence: Mapping[str, object] | None = None,
    ) -> None:
        """Add the event unless it equals the last of the workspace's timeline."""
        last = await self.transactions.one(
            "SELECT attempt, kind, text FROM event WHERE workspace_id = ? ORDER BY id DESC LIMIT 1",
            workspace_id,
        )
        if last is None or (last["attempt"], last["kind"], last["text"]) != (attempt, kind, text):
            await self._event(at, workspace_id, attempt, "reconciler", kind, text, evidence)


def _evidence_of(end: End) -> dict[str, object]:
    return {"cause": end.cause, "exit_code": end.exit_code, "message": end.message}
