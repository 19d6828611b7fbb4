"""Rebuilds the state store from a provider's data: the workspaces that can be restored, and the leftovers."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from wsdash.backend.errors import UserError, WsdashError
from wsdash.backend.operations.create import next_name
from wsdash.backend.operations.queries import Queries
from wsdash.backend.operations.state import State
from wsdash.backend.providers.features import Recoverable
from wsdash.backend.providers.types import FoundWorkspace, Inventory, Orphan
from wsdash.backend.store.store import NameTaken, Store
from wsdash.model import Workspace


@dataclass(frozen=True, slots=True)
class Plan:
    """Workspaces and leftovers that a provider has, sorted by what can be done with them. Names are free ones.

    `lost` belonged to this state store, `elsewhere` to another one; `present` are known here already.
    """

    context: str
    lost: tuple[FoundWorkspace, ...]
    elsewhere: tuple[FoundWorkspace, ...]
    orphans: tuple[Orphan, ...]
    present: int
    others: int


def plan_of(inventory: Inventory, rows: Iterable[Workspace], context: str) -> Plan:
    """Compare the provider's workspaces with those of the store, tombstones included. Pure."""
    mine = {workspace.id: workspace for workspace in rows}
    taken = {workspace.name for workspace in mine.values() if workspace.deleted_at is None}
    lost: list[FoundWorkspace] = []
    elsewhere: list[FoundWorkspace] = []
    orphans, present = list(inventory.orphans), 0
    for found in inventory.workspaces:
        own = mine.get(found.workspace.id)
        if own is not None and own.deleted_at is None:
            present += 1
            continue
        if own is not None:
            jobs = tuple(a.job_id or "" for a in found.attempts if a.is_live)
            orphans.append(
                Orphan(own.id, f"{own.name} was deleted here, but the provider still has it", jobs)
            )
            continue
        name = next_name(found.workspace.name, taken)
        taken.add(name)
        free = replace(found, workspace=replace(found.workspace, name=name))
        (lost if found.is_own else elsewhere).append(free)
    return Plan(context, tuple(lost), tuple(elsewhere), tuple(orphans), present, inventory.others)


async def take_in(store: Store, provider: Recoverable, found: FoundWorkspace, text: str) -> None:
    """Add the workspace to this store; one of another store is taken over first, so that the other releases it.

    Raises `WsdashError`.
    """
    if not found.is_own:
        await provider.take_over(found.workspace, found.workload)
    try:
        await store.restore_workspace(found.workspace, found.workload, found.attempts, text)
    except NameTaken:
        raise UserError(f"the workspace {found.workspace.name} already exists", "Try again.") from None


class Recovery:
    """Adds workspaces to the store that a provider has and the store does not."""

    def __init__(self, state: State, queries: Queries) -> None:
        self._state = state
        self._queries = queries

    async def recovery_plan(self, context: str) -> Plan:
        """Compare the provider's workspaces with the store's. Raises `WsdashError`."""
        inventory = await self._recoverable(context).inventory(context)
        rows = await self._queries.workspaces(deleted=True)
        return plan_of(inventory, [row.workspace for row in rows], context)

    async def take_in(self, context: str, found: FoundWorkspace) -> None:
        """Add it to this store; take it over from another one if necessary. Raises `WsdashError`."""
        provider = self._recoverable(context)
        text = (
            f"recovered from {provider.described_by}" if found.is_own else f"taken over from {found.kept_by}"
        )
        await take_in(self._state.store, provider, found, text)
        self._state.nudge(found.workspace.id)

    async def end_orphan(self, context: str, orphan: Orphan) -> None:
        """End and remove the leftovers of a workspace whose description is lost. Raises `WsdashError`."""
        await self._recoverable(context).end_orphan(orphan)

    async def take_in_lost(self, contexts: Iterable[str]) -> None:
        """Restore workspaces that the store has lost, for example by an old backup, if a provider lists them at no
        cost.
        """
        for context in contexts:
            with suppress(WsdashError):
                provider = self._state.provider_of(context)
                ids = await self._state.read(self._state.reader.ids)
                if not isinstance(provider, Recoverable):
                    continue
                if not await provider.may_have_others(ids.living | ids.deleted):
                    continue
                for found in (await self.recovery_plan(context)).lost:
                    await self.take_in(context, found)
                    self._state.add_notice(
                        f"The workspace {found.workspace.name} was lost and is recovered from {provider.described_by}."
                    )

    def _recoverable(self, context: str) -> Recoverable:
        provider = self._state.provider_of(context)
        if not isinstance(provider, Recoverable):
            raise UserError(f"the context {context} does not support the recovery of workspaces")
        return provider
