"""The state store rebuilt from what a provider has: which workspaces come back, and what is left over."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from wsdash.backend.errors import UserError
from wsdash.backend.operations.create import next_name
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
