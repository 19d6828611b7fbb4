"""Start, stop, restart, extend and delete. Each returns when the desired state is committed."""

from __future__ import annotations

import asyncio
import time

from wsdash.backend.errors import NotSaved, UserError, as_failure
from wsdash.backend.operations.daemon import Daemon
from wsdash.backend.operations.queries import Queries
from wsdash.backend.operations.state import State
from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.features import Savable
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.backend.store.reader import WorkspaceRow
from wsdash.model import Desired, Phase, Workspace

WAITING_S = 0.1
"""Interval between checks of the phase by `wait_for`, in seconds."""


class Lifecycle:
    """The desired state of workspaces; `wait_for` waits for the phase."""

    def __init__(self, state: State, queries: Queries, daemon: Daemon) -> None:
        self._state = state
        self._queries = queries
        self._daemon = daemon

    async def start(self, workspace_id: str) -> Workspace:
        """Set the desired state to running; a failed workspace is tried again."""
        workspace = await self._state.find(workspace_id)
        row = await self._queries.row(workspace_id)
        new_generation = row.status.phase is Phase.FAILED or workspace.desired is not Desired.RUNNING
        return await self.set_desired_state(
            workspace, Desired.RUNNING, new_generation=new_generation, text="start"
        )

    async def stop(self, workspace_id: str, *, unsaved: bool = False) -> Workspace:
        """Set the desired state to stopped, after its job's work is saved. Raises `NotSaved` if that fails, unless
        `unsaved`.
        """
        workspace = await self._state.find(workspace_id)
        if not unsaved:
            await self.save(workspace)
        return await self.set_desired_state(workspace, Desired.STOPPED, new_generation=False, text="stop")

    async def restart(self, workspace_id: str, *, unsaved: bool = False) -> Workspace:
        """Ask for a new attempt, after the present job's work is saved. Raises as `stop` does."""
        workspace = await self._state.find(workspace_id)
        if not unsaved:
            await self.save(workspace)
        return await self.set_desired_state(workspace, Desired.RUNNING, new_generation=True, text="restart")

    async def extend(self, workspace_id: str, hours: float) -> float:
        """Postpone the autostop by that many hours; return the earliest time that it may now happen. Raises
        `UserError`.
        """
        workspace = await self._state.find(workspace_id)
        row = await self._queries.row(workspace_id)
        if workspace.policy.max_hours is None and workspace.policy.idle_minutes is None:
            raise UserError(
                f"{workspace.name} has no autostop",
                "max_hours and idle_minutes in config.toml set one for new workspaces.",
            )
        if row.status.phase not in (Phase.RUNNING, Phase.STARTING):
            raise UserError(
                f"{workspace.name} is {row.status.phase}", "Only a running workspace can be extended."
            )
        now = self._state.clock()
        until = max(now, row.status.until or now) + hours * 3600
        at = time.strftime("%H:%M", time.localtime(until))
        await self._state.store.extend(workspace.id, until, now, f"the user asked: no autostop before {at}")
        self._state.nudge(workspace.id)
        return until

    async def delete(self, workspace_id: str) -> Workspace:
        """Set the desired state to deleted: the workspace is removed with everything that only it owned."""
        return await self.set_desired_state(
            await self._state.find(workspace_id), Desired.DELETED, new_generation=False, text="delete"
        )

    async def end_now(self, workspace_id: str) -> bool:
        """End its job at once, without the grace period: the last resort for a job that does not end by itself.

        Unsaved work in the job is lost. If the desired state is running, a new job follows. Return False if there
        is no job to end. Raises `WsdashError`.
        """
        workspace = await self._state.find(workspace_id)
        attempts = await self._state.read(lambda: self._state.reader.attempts(workspace.id))
        attempt = next((attempt for attempt in reversed(attempts) if attempt.is_live), None)
        if attempt is None:
            return False
        await self._state.store.request_force_cancel(
            attempt, self._state.clock(), "the user asked: end the job now"
        )
        with as_failure():
            await self._state.provider(workspace).force_cancel(attempt)
        self._state.nudge(workspace.id)
        return True

    async def wait_for(self, workspace_id: str, phases: frozenset[Phase], timeout_s: float) -> WorkspaceRow:
        """Wait until the workspace is in one of the phases.

        Raises `UserError`: with exit code 5 after the timeout, with 3 if it was deleted and that was not waited for.
        """
        workspace = await self._state.find(workspace_id, deleted=True)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    row = await self._queries.row(workspace_id)
                    if row.status.phase in phases:
                        return row
                    if row.status.phase is Phase.DELETED:
                        raise UserError(
                            f"{workspace.name} was deleted meanwhile",
                            f"`wsdash events {workspace.name}` shows why.",
                            exit_code=3,
                        )
                    await asyncio.sleep(WAITING_S)
        except NoSuchWorkspace:
            raise UserError(
                f"{workspace.name} is no longer in the state store",
                "The store was replaced or lost; see `wsdash events` and `wsdash doctor`.",
                exit_code=3,
            ) from None
        except TimeoutError:
            wanted = " or ".join(sorted(phases))
            raise UserError(
                f"{workspace.name} is {row.status.phase}, not {wanted}, after {timeout_s:g} s",
                row.status.reason,
                exit_code=5,
            ) from None

    async def save(self, workspace: Workspace) -> None:
        """Have the live job save its work elsewhere. Raises `NotSaved` if that fails."""
        attempts = await self._state.read(lambda: self._state.reader.attempts(workspace.id))
        if not attempts or not attempts[-1].is_live:
            return
        await self._daemon.ensure_reconciler()
        provider = self._state.provider(workspace)
        if not isinstance(provider, Savable):
            return
        try:
            await provider.save(workspace, attempts[-1])
        except ProviderError as error:
            raise NotSaved(error.message, f"{error.hint} Or use --force, which discards it.") from error

    async def set_desired_state(
        self, workspace: Workspace, desired: Desired, *, new_generation: bool, text: str
    ) -> Workspace:
        """Commit the desired state and nudge the reconciler.

        Raises `UserError` for a workspace that is being deleted, `WorkspaceGone` for a deleted one.
        """
        try:
            changed = await self._state.store.set_desired_state(
                workspace.id,
                desired,
                new_generation=new_generation,
                now=self._state.clock(),
                text=f"the user asked: {text}",
            )
        except NoSuchWorkspace:
            await self._state.find(workspace.id)  # raises if it is already deleted, else it is being deleted
            raise UserError(
                f"{workspace.name} is being deleted", "Create it again once it is deleted."
            ) from None
        self._state.nudge(changed.id)
        return changed
