"""Ways into a workspace: a shell, its ports, its editor."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError, as_failure
from wsdash.backend.job import ports as job_ports
from wsdash.backend.job import shells
from wsdash.backend.operations.state import State
from wsdash.backend.providers.base import Provider
from wsdash.backend.providers.errors import NotSupported, ProviderError
from wsdash.backend.providers.features import Forwards, OnThisMachine, Ports, Shells
from wsdash.backend.providers.types import ShellCommand
from wsdash.backend.system.run import capture
from wsdash.model import Attempt, Workspace

if TYPE_CHECKING:
    from wsdash.backend.job.web_editor import Editor

_ANOTHER_CONTEXT = "Read its log with `wsdash logs`, or use a context of another provider."


class Access:
    """Commands for the user's terminal that lead into a workspace."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def shell(
        self,
        workspace_id: str,
        argv: tuple[str, ...] = (),
        *,
        attempt: int | None = None,
        needs_terminal: bool = False,
    ) -> ShellCommand:
        """Return the command for the user's terminal that opens a login shell (or runs a command) inside the workspace.

        `attempt` is the number of the attempt whose job was seen running, by default the newest, whose job may not run
        yet. Raises `NotRunning`, also while the job is being replaced, and other errors of the provider.
        """
        workspace, entered = await self._state.attempt(workspace_id, attempt)
        provider = self._state.provider(workspace)
        with as_failure():
            if not isinstance(provider, Shells):
                raise NotSupported(provider.kind, f"open a shell in {workspace.name}", _ANOTHER_CONTEXT)
            return await provider.shell(workspace, entered, argv, needs_terminal=needs_terminal)

    async def ports(self, workspace_id: str) -> job_ports.Ports:
        """Return the ports that the devfile declares, and those that processes listen on if the workspace runs."""
        workspace = await self._state.find(workspace_id)
        declared = (await self._state.store.workload(workspace.id)).ports
        attempts = await self._state.read(lambda: self._state.reader.attempts(workspace.id))
        output = None
        if attempts and attempts[-1].is_live:
            provider = self._state.provider(workspace)
            if isinstance(provider, Ports):
                with suppress(ProviderError):
                    output = await provider.listening(workspace, attempts[-1])
        return job_ports.ports(declared, None if output is None else job_ports.listeners(output))

    async def shells(self, workspace_id: str) -> int | None:
        """Return how many shells and commands of the user are open now, which the last heartbeat may not have yet.

        None if the job does not answer within two seconds.
        """
        workspace = await self._state.find(workspace_id)
        attempts = await self._state.read(lambda: self._state.reader.attempts(workspace.id))
        if not attempts or not attempts[-1].is_live:
            return None
        provider = self._state.provider(workspace)
        if not isinstance(provider, Shells):
            return None
        try:
            async with asyncio.timeout(shells.TIMEOUT_S):
                output = await provider.shells(workspace, attempts[-1])
        except (ProviderError, TimeoutError):
            return None
        return shells.shells_of(output)

    async def forwarding(
        self, workspace_id: str, where: str, number: int, *, attempt: int | None = None
    ) -> tuple[str, ...]:
        """Return a command for the user's terminal that forwards a port of the workspace. Raises as `shell` does."""
        workspace, entered = await self._state.attempt(workspace_id, attempt)
        provider = self._state.provider(workspace)
        if isinstance(provider, OnThisMachine):
            raise UserError(
                f"{workspace.name} runs on this machine",
                f"Connect to 127.0.0.1:{number} directly.",
            )
        with as_failure():
            return await _forwarding(provider, workspace, entered, where, number)

    async def editor(self, workspace_id: str, *, attempt: int | None = None) -> Editor:
        """Return the editor in the browser, started if it does not run. `attempt` and errors are as in `shell`."""
        from wsdash.backend.job import web_editor

        workspace = await self._state.find(workspace_id)
        command = await self.shell(workspace.id, web_editor.START, attempt=attempt)
        started = await capture(
            command.argv,
            limit=web_editor.LARGEST_ANSWER,
            timeout_s=web_editor.START_S,
            env=command.env,
            cwd=command.cwd,
        )
        errors = b"it takes too long" if started.exit_code is None else started.errors
        try:
            return web_editor.editor_of(
                started.output.decode(errors="replace"), errors.decode(errors="replace")
            )
        except web_editor.NoEditor as error:
            raise UserError(
                f"no editor can be opened in {workspace.name}: {error}",
                "Use an image with code-server in it, or injector_image of a GitLab context; `wsdash ssh` works.",
            ) from error

    async def folder(self, workspace_id: str, *, attempt: int | None = None) -> str:
        """The folder in which the workspace's shells start, in its own sight. `attempt` as in `shell`.

        Raises as that does.
        """
        from wsdash.backend.job import web_editor

        workspace = await self._state.find(workspace_id)
        command = await self.shell(workspace.id, web_editor.FOLDER, attempt=attempt)
        answer = await capture(
            command.argv,
            limit=web_editor.LARGEST_ANSWER,
            timeout_s=web_editor.FOLDER_S,
            env=command.env,
            cwd=command.cwd,
        )
        folder = web_editor.folder_of(answer.output.decode(errors="replace"))
        if folder is None:
            raise UserError(
                f"{workspace.name} does not tell where its project is",
                f"`wsdash ssh {workspace.name} -- pwd` shows why.",
            )
        return folder

    async def way_to(self, workspace_id: str, socket: str, where: str) -> str | tuple[str, ...]:
        """Return a socket's path on this machine, or the command that forwards it to `where`.

        Raises `WsdashError`.
        """
        workspace, entered = await self._state.attempt(workspace_id, None)
        provider = self._state.provider(workspace)
        with as_failure():
            if isinstance(provider, OnThisMachine):
                return await asyncio.to_thread(provider.socket_here, workspace, socket)
            return await _forwarding(provider, workspace, entered, where, socket)


async def _forwarding(
    provider: Provider, workspace: Workspace, attempt: Attempt, where: str, there: int | str
) -> tuple[str, ...]:
    if not isinstance(provider, Forwards):
        raise NotSupported(provider.kind, f"forward ports of {workspace.name}", _ANOTHER_CONTEXT)
    return await provider.forwarding(workspace, attempt, where, there)
