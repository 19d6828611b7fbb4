"""The state store rebuilt from what a provider has: which workspaces come back, and what is left over."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from wsdash.backend.errors import UserError
from wsdash.backend.operations.create import next_name
from wsdash.backend.operations.queries import Queries
from wsdash.backend.operations.state import State
from wsdash.backend.providers import LOCAL
from wsdash.backend.providers.base import Known, Orphan, Provider, ProviderError, Recoverable, Remains
from wsdash.backend.store.store import NameTaken, Store
from wsdash.model import Workspace


@dataclass(frozen=True, slots=True)
class Plan:
    """What can be done with what is there. Names are free ones.

    `lost` were kept by this state store, `elsewhere` by another one; `present` are known here already.
    """

    context: str
    lost: tuple[Known, ...]
    elsewhere: tuple[Known, ...]
    orphans: tuple[Orphan, ...]
    present: int
    others: int


def plan_of(remains: Remains, rows: Iterable[Workspace], context: str) -> Plan:
    """Compare what a provider has with the workspaces of the store, tombstones among them. Pure."""
    mine = {workspace.id: workspace for workspace in rows}
    taken = {workspace.name for workspace in mine.values() if workspace.deleted_at is None}
    lost: list[Known] = []
    elsewhere: list[Known] = []
    orphans, present = list(remains.orphans), 0
    for known in remains.known:
        own = mine.get(known.workspace.id)
        if own is not None and own.deleted_at is None:
            present += 1
            continue
        if own is not None:
            jobs = tuple(a.job_id or "" for a in known.attempts if a.is_live)
            orphans.append(Orphan(own.id, f"{own.name} was deleted here, and is still there", jobs))
            continue
        name = next_name(known.workspace.name, taken)
        taken.add(name)
        found = replace(known, workspace=replace(known.workspace, name=name))
        (lost if known.is_own else elsewhere).append(found)
    return Plan(context, tuple(lost), tuple(elsewhere), tuple(orphans), present, remains.others)


async def remains_at(provider: Provider, context: str) -> Remains:
    """What the provider has. Raises `UserError`."""
    try:
        return await _recoverable(provider, context).remains(context)
    except ProviderError as error:
        raise UserError(error.message, error.hint, exit_code=4) from error


async def may_be_lost(provider: Provider, known: Collection[str]) -> bool:
    """Whether the provider may have workspaces beside those of these ids. Raises `UserError`."""
    try:
        return isinstance(provider, Recoverable) and await provider.may_remain(known)
    except ProviderError as error:
        raise UserError(error.message, error.hint, exit_code=4) from error


async def take_in(store: Store, provider: Provider, known: Known, text: str) -> None:
    """Make the workspace one of this store; one of another store is taken over first, so that it lets go.

    Raises `UserError`.
    """
    try:
        if not known.is_own:
            await _recoverable(provider, known.workspace.context).take_over(known.workspace, known.workload)
        await store.recovered(known.workspace, known.workload, known.attempts, text)
    except ProviderError as error:
        raise UserError(error.message, error.hint, exit_code=4) from error
    except NameTaken:
        raise UserError(f"there is a workspace {known.workspace.name} already", "Try again.") from None


async def end_orphan(provider: Provider, context: str, orphan: Orphan) -> None:
    """End and remove what is left of a workspace. Raises `UserError`."""
    try:
        await _recoverable(provider, context).end_orphan(orphan)
    except ProviderError as error:
        raise UserError(error.message, error.hint, exit_code=4) from error


def _recoverable(provider: Provider, context: str) -> Recoverable:
    if not isinstance(provider, Recoverable):
        raise UserError(f"the context {context} cannot tell of workspaces that the state store has lost")
    return provider


class Recovery:
    """Takes in workspaces that a provider has and the store does not."""

    def __init__(self, state: State, queries: Queries) -> None:
        self._state = state
        self._queries = queries

    async def recovery_plan(self, context: str) -> Plan:
        """What the provider has of workspaces, beside what is known here. Raises `UserError`."""
        remains = await remains_at(self._state.provider_of(context), context)
        rows = await self._queries.workspaces(deleted=True)
        return plan_of(remains, [row.workspace for row in rows], context)

    async def take_in(self, context: str, known: Known) -> None:
        """Make it a workspace of this store, taken over from another one if need be. Raises `UserError`."""
        place = "its folder" if self._state.provider_of(context).kind == LOCAL else "GitLab"
        text = f"recovered from {place}" if known.is_own else f"taken over from {known.kept_by}"
        await take_in(self._state.store, self._state.provider_of(context), known, text)
        self._state.nudge(known.workspace.id)

    async def end_orphan(self, context: str, orphan: Orphan) -> None:
        """End and remove what is left of a workspace that nobody can describe. Raises `UserError`."""
        await end_orphan(self._state.provider_of(context), context, orphan)

    async def take_in_lost(self, contexts: Iterable[str]) -> None:
        """Take in what the store has lost, such as by a restored backup, and a provider can tell of at no cost."""
        for context in contexts:
            with suppress(UserError):
                provider = self._state.provider_of(context)
                ids = await self._state.read(self._state.reader.ids)
                if not await may_be_lost(provider, ids.living | ids.deleted):
                    continue
                for known in (await self.recovery_plan(context)).lost:
                    await self.take_in(context, known)
                    self._state.tell(
                        f"The workspace {known.workspace.name} was lost; it is back from its folder."
                    )
