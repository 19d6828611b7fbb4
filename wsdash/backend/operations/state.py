"""The state that every operation uses: this user's state store, and the providers of its contexts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from wsdash.backend.errors import UserError
from wsdash.backend.providers.base import Provider
from wsdash.backend.providers.provider_pool import ProviderPool
from wsdash.backend.store.reader import Reader
from wsdash.backend.store.store import Store
from wsdash.model import Attempt, Workspace
from wsdash.paths import Paths

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class State:
    """An open state store, for use on one event loop. Reads run on `thread`, where `reader` was opened."""

    paths: Paths
    store: Store
    reader: Reader
    thread: ThreadPoolExecutor
    providers: ProviderPool
    clock: Callable[[], float]
    notices: list[str]
    """Repairs of the store, before it was opened and since, as sentences for the user."""
    nudge: Callable[[str], None] = field(default=lambda workspace_id: None)
    """Asks the reconciler to check a workspace now, if the reconciler runs in this process."""

    async def read(self, read: Callable[[], T]) -> T:
        """Run a function that reads in the reader's thread, and return its result."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self.thread, read)
        finally:
            while self.reader.notices:
                self.add_notice(self.reader.notices.pop(0))

    def add_notice(self, sentence: str) -> None:
        """Log a sentence for the user, and keep it until it is shown."""
        log.warning("%s", sentence)
        self.notices.append(sentence)

    async def find(self, workspace_id: str, *, deleted: bool = False) -> Workspace:
        """Return the workspace. Raises `WorkspaceGone`, as every operation on a workspace by its id does."""
        return await self.read(lambda: self.reader.workspace(workspace_id, deleted=deleted))

    async def attempt(
        self, workspace_id: str, number: int | None, *, deleted: bool = False
    ) -> tuple[Workspace, Attempt]:
        """Return the workspace and its attempt of that number, or its newest. Raises `UserError` if there is none."""
        workspace = await self.find(workspace_id, deleted=deleted)
        attempts = await self.read(lambda: self.reader.attempts(workspace.id))
        if not attempts:
            raise UserError(f"{workspace.name} has not been launched yet", "Wait for its first attempt.")
        if number is None:
            return workspace, attempts[-1]
        for attempt in attempts:
            if attempt.number == number:
                return workspace, attempt
        raise UserError(
            f"{workspace.name} has no attempt {number}",
            f"It has attempts 1 to {attempts[-1].number}.",
            exit_code=2,
        )

    def provider(self, workspace: Workspace) -> Provider:
        """Return the provider that runs the workspace's jobs. Raises `UserError`."""
        return self.provider_of(workspace.context)

    def provider_of(self, context: str) -> Provider:
        """Return a context's provider. Raises `UserError` if config.toml does not have the context."""
        return self.providers.of(context)
