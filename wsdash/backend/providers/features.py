"""What some providers can do beside `Provider`, each asked by `isinstance`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Protocol, runtime_checkable

from wsdash.backend.providers.types import Inventory, Orphan
from wsdash.backend.system.leftovers import Ids
from wsdash.model import Workspace
from wsdash.workload import Workload


@runtime_checkable
class Recoverable(Protocol):
    """A provider that can tell of its workspaces with the state store lost."""

    async def may_have_others(self, known: Collection[str]) -> bool:
        """Whether there may be workspaces beside those of these ids. False where asking would cost requests.

        Raises `Unreachable`.
        """

    async def inventory(self, context: str) -> Inventory:
        """All of this user's workspaces. Raises `Unreachable` or `PreconditionFailed`."""

    async def take_over(self, workspace: Workspace, workload: Workload) -> None:
        """From now on only this state store may launch it; others are told so when they try."""

    async def end_orphan(self, orphan: Orphan) -> None:
        """End its jobs and remove what is left of it."""


@runtime_checkable
class KeepsSecretsElsewhere(Protocol):
    """A provider that does not keep secrets on this machine."""

    async def forget_lost(self, ask_ids: Callable[[], Awaitable[Ids]]) -> None:
        """Remove secrets that this machine has kept for workspaces that neither the state store knows nor the provider.

        `ask_ids` is called after it was found out which have any, so that a create under way is known. Raises
        `Unreachable` or `PreconditionFailed`.
        """
