"""Read-only queries: the list, one workspace, its events, the plan. Uses only `sqlite3`, for speed.

The quick commands of the command line load neither asyncio nor anything that does; the dashboard calls the same
functions in a thread.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import defaultdict
from contextlib import suppress

from wsdash.backend.errors import WorkspaceGone
from wsdash.backend.rules.decide import Decision, decide
from wsdash.backend.rules.recovery_point import RecoveryPoint, recovery_point
from wsdash.backend.rules.status import has_lost_its_supervisor, status
from wsdash.backend.store import mapping
from wsdash.backend.store.database import connect, is_current, prepare
from wsdash.backend.store.errors import NewerSchema, is_damage
from wsdash.backend.store.lease import Lease, lease_of
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.backend.store.repair import await_file, part_from_log
from wsdash.backend.system.clock import boot_time
from wsdash.backend.system.files.file_watch import FileIdentity, file_identity, log_identity
from wsdash.backend.system.supervision import Supervision
from wsdash.frozen import dataclass
from wsdash.model import Attempt, Event, Observation, Status, Workspace
from wsdash.paths import Paths

TYPE_CHECKING = False  # as in typing, which the quick verbs do without
if TYPE_CHECKING:
    from wsdash.backend.rules.leftovers import Ids


@dataclass(frozen=True, slots=True)
class WorkspaceRow:
    """One workspace in the list. `attempt` is its newest, `event` the last of its timeline.

    `saved` is None if none of its work has been saved yet.
    """

    workspace: Workspace
    status: Status
    attempt: Attempt | None
    event: Event | None
    saved: RecoveryPoint | None = None


@dataclass(frozen=True, slots=True)
class WorkspaceDetail:
    """One workspace with its attempts and events, newest first; `workload` is JSON text, without secrets of
    addresses.

    `superseded` are paths of checkpoints that could not be restored into a later job; they are kept for the user.
    """

    row: WorkspaceRow
    attempts: tuple[Attempt, ...]
    events: tuple[Event, ...]
    workload: str
    superseded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """The reconciler's next step for one workspace."""

    workspace: Workspace
    decision: Decision


class Reader:
    """A read-only connection to the state store. Not for use by two threads at a time."""

    def __init__(self, paths: Paths, *, makes_store: bool = True) -> None:
        """Without `makes_store` the store must exist: a missing one was removed, and is not created again."""
        self._paths = paths
        self._makes_store = makes_store
        self._connection: sqlite3.Connection | None = None
        self._identity: FileIdentity | None = None
        self._log: FileIdentity | None = None
        self._supervision = Supervision(paths.contexts)
        self._with_folders: frozenset[str] = frozenset()
        """Contexts whose workspaces have their files on this machine."""
        self.notices: list[str] = []
        """Repairs of the store before it could be read, as sentences for the user."""

    def close(self) -> None:
        """Close the connection. The next query opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def workspaces(
        self, now: float, *, deleted: bool = False, first: int | None = None, events: bool = True
    ) -> list[WorkspaceRow]:
        """Return workspaces by name, with their phase at `now`: all, or the `first` of them.

        Includes tombstones only with `deleted`. Without `events` no row has its event, which is faster.
        """
        where = "" if deleted else "WHERE workspace.deleted_at IS NULL"
        wanted = (
            f"FROM workspace {where} ORDER BY name, created_at LIMIT {-1 if first is None else int(first)}"
        )
        found = self._query(f"SELECT {mapping.WORKSPACE_COLUMNS} {wanted}")
        chosen = f"(SELECT id, generation {wanted}) AS chosen"
        attempts: dict[str, list[Attempt]] = defaultdict(list)
        for row in self._query(
            f"SELECT attempt.* FROM {chosen} JOIN attempt ON workspace_id = chosen.id"
            " WHERE ended_at IS NULL OR attempt.generation >= chosen.generation - 1 ORDER BY number"
        ):
            attempts[row["workspace_id"]].append(mapping.attempt_of(row))
        newest = self._newest_events(chosen) if events else {}
        observed = self._context_observations()
        return [
            self._row(
                workspace,
                attempts[workspace.id],
                newest.get(workspace.id),
                observed.get(workspace.context),
                now,
            )
            for workspace in map(mapping.workspace_of, found)
        ]

    def _newest_events(self, chosen: str) -> dict[str, Event]:
        found = self._query(
            f"SELECT event.* FROM {chosen} JOIN event"
            " ON event.id = (SELECT max(id) FROM event WHERE workspace_id = chosen.id)"
        )
        return {row["workspace_id"]: mapping.event_of(row) for row in found}

    def find(self, name: str, *, deleted: bool = False) -> Workspace:
        """Find a workspace by name, or by id (also a deleted one). Raises `NoSuchWorkspace`.

        With `deleted`, a name that no workspace has finds the last deleted one of that name.
        """
        which = "name = ?" if deleted else "name = ? AND deleted_at IS NULL"
        found = self._query(
            f"SELECT {mapping.WORKSPACE_COLUMNS} FROM workspace WHERE ({which}) OR id = ?"
            " ORDER BY id = ? DESC, deleted_at IS NOT NULL, deleted_at DESC LIMIT 1",
            name,
            name,
            name,
        )
        if not found:
            raise NoSuchWorkspace(name)
        return mapping.workspace_of(found[0])

    def workspace(self, workspace_id: str, *, deleted: bool = False) -> Workspace:
        """Return a workspace by its id. Raises `WorkspaceGone` for a deleted one, unless `deleted`."""
        found = self._query(f"SELECT {mapping.WORKSPACE_COLUMNS} FROM workspace WHERE id = ?", workspace_id)
        if not found:
            raise NoSuchWorkspace(workspace_id)
        workspace = mapping.workspace_of(found[0])
        if workspace.deleted_at is not None and not deleted:
            raise WorkspaceGone(workspace.name)
        return workspace

    def row(self, workspace_id: str, now: float) -> WorkspaceRow:
        """Return one workspace as in the list, deleted ones included. Raises `NoSuchWorkspace`."""
        workspace = self.workspace(workspace_id, deleted=True)
        attempts = self.attempts(workspace.id)
        newest = next(iter(self.events(workspace.id, limit=1)), None)
        return self._row(workspace, attempts, newest, self._context_observation(workspace.context), now)

    def detail(self, workspace_id: str, now: float, *, events: int = 200) -> WorkspaceDetail:
        """Return one workspace, deleted ones included, with its attempts and its last `events` events.

        Raises `NoSuchWorkspace`.
        """
        workspace = self.workspace(workspace_id, deleted=True)
        attempts = self.attempts(workspace.id)
        timeline = self.events(workspace.id, limit=events)
        newest = timeline[0] if timeline else None
        row = self._row(workspace, attempts, newest, self._context_observation(workspace.context), now)
        workload = self._query("SELECT workload FROM workspace WHERE id = ?", workspace.id)
        if not workload:  # the store's file has just been replaced
            raise NoSuchWorkspace(workspace_id)
        # Imported here, because a list does not need it.
        from wsdash.backend.git.hide_secrets import SecretHider
        from wsdash.backend.store.checkpoint_files import CheckpointStore

        superseded = CheckpointStore(self._paths.state / "checkpoints").superseded(workspace.id)
        return WorkspaceDetail(
            row,
            tuple(reversed(attempts)),
            tuple(timeline),
            json.dumps(SecretHider().of_workload(json.loads(workload[0][0]))),
            tuple(str(file) for file in superseded),
        )

    def attempts(self, workspace_id: str) -> list[Attempt]:
        """Return the workspace's attempts, oldest first."""
        found = self._query("SELECT * FROM attempt WHERE workspace_id = ? ORDER BY number", workspace_id)
        return [mapping.attempt_of(row) for row in found]

    def events(self, workspace_id: str, *, limit: int = 200) -> list[Event]:
        """Return events, newest first."""
        found = self._query(
            "SELECT * FROM event WHERE workspace_id = ? ORDER BY id DESC LIMIT ?", workspace_id, limit
        )
        return [mapping.event_of(row) for row in found]

    def plan(self, now: float) -> list[PlannedStep]:
        """Return the next step for every workspace, computed from the store as the reconciler does."""
        observed = self._context_observations()
        steps = []
        for row in self._query(
            f"SELECT {mapping.WORKSPACE_COLUMNS} FROM workspace WHERE deleted_at IS NULL ORDER BY name"
        ):
            workspace = mapping.workspace_of(row)
            attempts = self.attempts(workspace.id)
            attempts = self._with_lost_supervisors(workspace, attempts)
            observation = mapping.observation_of(observed.get(workspace.context), attempts)
            steps.append(PlannedStep(workspace, decide(workspace, attempts, observation, now)))
        return steps

    def ids(self) -> Ids:
        """Return the ids of live workspaces, of deleted ones, and of those that another store has taken over.

        This store removes no files of the last group.
        """
        from wsdash.backend.rules.leftovers import Ids

        found = self._query(
            "SELECT id, deleted_at, EXISTS (SELECT 1 FROM event WHERE workspace_id = workspace.id"
            " AND kind = 'released') AS lives_elsewhere FROM workspace"
        )
        return Ids(
            frozenset(row["id"] for row in found if row["deleted_at"] is None),
            frozenset(row["id"] for row in found if row["deleted_at"] and not row["lives_elsewhere"]),
            frozenset(row["id"] for row in found if row["deleted_at"] and row["lives_elsewhere"]),
        )

    def lease(self) -> Lease | None:
        """Return the lease: the process that reconciles, or the last one that did."""
        found = self._query("SELECT * FROM lease")
        return lease_of(found[0]) if found else None

    def workspaces_mark(self) -> str:
        """Return a text that changes when a workspace is added, removed, or its desired state changes."""
        sql = "SELECT count(*), max(desired_changed_at), max(deleted_at) FROM workspace"
        return repr(tuple(self._query(sql)[0]))

    def data_version(self) -> tuple[object, int]:
        """Return a value that changes when another connection commits, or the file is replaced."""
        version = int(self._query("PRAGMA data_version")[0][0])
        return self._identity, version

    def _row(
        self,
        workspace: Workspace,
        attempts: list[Attempt],
        event: Event | None,
        observed: sqlite3.Row | None,
        now: float,
    ) -> WorkspaceRow:
        attempts = self._with_lost_supervisors(workspace, attempts)
        observation: Observation | None = mapping.observation_of(observed, attempts)
        return WorkspaceRow(
            workspace,
            status(workspace, attempts, observation, now, booted_at=now - boot_time()),
            attempts[-1] if attempts else None,
            event,
            recovery_point(attempts, has_folder=workspace.context in self._with_folders),
        )

    def _with_lost_supervisors(self, workspace: Workspace, attempts: list[Attempt]) -> list[Attempt]:
        """Return the attempts; local jobs whose supervisor ended since they were observed are marked as lost."""
        return [
            has_lost_its_supervisor(attempt)
            if attempt.is_live and self._supervision.is_gone(workspace.context, attempt.id)
            else attempt
            for attempt in attempts
        ]

    def _context_observations(self) -> dict[str, sqlite3.Row]:
        """Return the last observation of each context, and forget cached looks at supervisors and folders."""
        self._look_again()
        return {row["context"]: row for row in self._query("SELECT * FROM context_observation")}

    def _context_observation(self, context: str) -> sqlite3.Row | None:
        """Return the last observation of one context, as `_context_observations` does."""
        self._look_again()
        return next(iter(self._query("SELECT * FROM context_observation WHERE context = ?", context)), None)

    def _look_again(self) -> None:
        self._supervision.look_again()
        with suppress(OSError):
            self._with_folders = frozenset(os.listdir(self._paths.contexts))  # noqa: PTH208

    def _query(self, sql: str, *values: object) -> list[sqlite3.Row]:
        try:
            return self._present_file().execute(sql, values).fetchall()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
        self.close()
        self._prepare()
        return self._present_file().execute(sql, values).fetchall()

    def _present_file(self) -> sqlite3.Connection:
        """Return a connection to the file now at the path, because the opened one may have been replaced.

        Raises `StateRemoved` if the folder was removed since it was opened first.
        """
        if self._connection is not None and file_identity(self._paths.database) == self._identity:
            return self._connection
        if not self._makes_store:
            await_file(self._paths)
            if self._identity is not None and file_identity(self._paths.database) != self._identity:
                with suppress(OSError):  # a process with write permission will do it
                    part_from_log(self._paths.database, self._log)
        self.close()
        self._identity = file_identity(self._paths.database)
        self._connection = self._open()
        if self._identity is None:
            self._identity = file_identity(self._paths.database)
        self._log = log_identity(self._paths.database)
        self._makes_store = False
        return self._connection

    def _open(self) -> sqlite3.Connection:
        """Open the file; create, migrate or repair it first if necessary."""
        try:
            connection = connect(self._paths.database, read_only=True)
            if is_current(connection):
                return connection
            connection.close()
        except NewerSchema as newer:
            self.notices.append(str(newer))
            return connect(self._paths.database, read_only=True)
        except sqlite3.Error:
            pass
        self._prepare()
        return connect(self._paths.database, read_only=True)

    def _prepare(self) -> None:
        self.notices += prepare(self._paths, makes_folder=self._makes_store)
