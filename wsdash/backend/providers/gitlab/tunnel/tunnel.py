"""The ssh tunnel that each job of a GitLab context holds to this machine: authorization, and commands through it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from wsdash.backend.access.grants import Grant
from wsdash.backend.access.listening import CannotListen
from wsdash.backend.access.relay_address import RelayAddress
from wsdash.backend.access.relay_client import RelayClient
from wsdash.backend.job import protocol
from wsdash.backend.providers.errors import PermanentError
from wsdash.backend.providers.gitlab.ci.pipeline_name import attempt_key
from wsdash.backend.providers.gitlab.tunnel.announce import send_address
from wsdash.backend.providers.gitlab.tunnel.reasons import Reason, reason
from wsdash.backend.providers.types import ShellCommand
from wsdash.backend.system import environments
from wsdash.backend.system.run import capture
from wsdash.config.settings import GitLabSettings
from wsdash.model import Attempt, Workspace
from wsdash.paths import PathError

log = logging.getLogger(__name__)

STOP = (protocol.STOP,)
STOP_S = 5.0
LONGEST = 1024
SECRET_S = 3600.0
"""Validity of a secret before its job starts, in seconds; a job that starts later is not accepted."""
CONNECT_S = 8.0
"""Longest wait for a closed tunnel, in seconds: a job reconnects within seconds."""
NO_ACCESS = "[access] in config.toml does not name this machine, so its job cannot connect to it"
NO_ACCESS_HINT = (
    "Set host in [access] to this machine's name as runners see it (`wsdash context add` asks for it), then"
    " `wsdash restart {}`."
)


class JobTunnel:
    """Tunnels of a context's jobs. Without a `relay_client` there are none: config.toml does not name this machine.

    Its failures never affect the job: the workspace only becomes unreachable.
    """

    def __init__(
        self,
        relay_client: RelayClient | None,
        settings: GitLabSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._relay_client = relay_client
        self._clock = clock
        self._settings = settings
        self.address: RelayAddress | None = None
        """The address that jobs connect to; None without a relay, and until it was first asked for."""
        self.problem: PermanentError | None = None
        """The reason why no job can connect to this machine; None while the relay runs."""

    @property
    def is_configured(self) -> bool:
        """Whether jobs can reach this machine, because config.toml names it."""
        return self._relay_client is not None

    async def ensure_relay(self) -> None:
        """Have the relay run, with the present settings and code; `problem` says why it does not."""
        if self._relay_client is None:
            return
        before, self.problem = self.problem, None
        try:
            self.address = await asyncio.to_thread(lambda client: client.address, self._relay_client)
            await asyncio.to_thread(_ensure_running, self._relay_client)
        except (OSError, PathError) as error:
            hint = error.hint if isinstance(error, CannotListen) else "`wsdash doctor` checks it."
            is_running = await asyncio.to_thread(self._relay_client.is_running)
            state = (
                "the relay keeps its earlier settings" if is_running else "no job can connect to this machine"
            )
            self.problem = PermanentError(f"{state}: {error}", hint)
        if self.problem is not None and str(before) != str(self.problem):
            log.info("%s", self.problem)

    async def authorize(self, workspace: Workspace, attempt: Attempt, pipeline_id: int) -> None:
        """Have the relay accept this pipeline's job for the workspace, and no older one."""
        if self._relay_client is None or self.address is None:
            return
        grant = Grant(
            workspace.id,
            attempt_key(attempt.id, attempt.number, attempt.generation),
            attempt.number,
            workspace.name,
            issuer=self._settings.url,
            audience=self.address.audience,
            pipeline_id=str(pipeline_id),
            ca_file=self._settings.ca_file,
            context=workspace.context,
            address=self.address.text,
        )
        try:
            await asyncio.to_thread(self._relay_client.authorize, grant)
        except OSError as error:
            log.error("%s cannot be authorized at the relay: %s", workspace.name, error)

    async def issue_one_time_secret(self, workspace: Workspace, attempt: Attempt) -> str | None:
        """Return a secret with which the relay accepts this attempt's job once, for an instance without id tokens."""
        if self._relay_client is None or self.address is None:
            return None
        secret = secrets.token_urlsafe(32)
        grant = Grant(
            workspace.id,
            attempt_key(attempt.id, attempt.number, attempt.generation),
            attempt.number,
            workspace.name,
            secret_hash=hashlib.sha256(secret.encode()).hexdigest(),
            not_after=self._clock() + SECRET_S,
            context=workspace.context,
            address=self.address.text,
        )
        try:
            await asyncio.to_thread(self._relay_client.authorize, grant)
        except OSError as error:
            log.error("%s cannot be authorized at the relay: %s", workspace.name, error)
            return None
        return secret

    async def revoke_attempt(self, workspace_id: str) -> None:
        """Have the relay accept no job of the workspace until the next attempt is authorized."""
        if self._relay_client is not None:
            await asyncio.to_thread(self._relay_client.revoke_attempt, workspace_id)

    async def revoke(self, workspace: Workspace) -> None:
        """Remove a deleted workspace from the relay."""
        if self._relay_client is not None:
            await asyncio.to_thread(self._relay_client.revoke, workspace.id, workspace.name)

    async def shell(
        self,
        workspace: Workspace,
        argv: tuple[str, ...],
        reported: str = "",
        *,
        needs_terminal: bool = False,
    ) -> ShellCommand:
        """Raises `PermanentError`, as `forwarding` does. `reported` is as in `why_down`."""
        relay_client = await self._wait_connected(workspace.id, workspace.name, reported)
        command = await asyncio.to_thread(
            relay_client.ssh, workspace.id, workspace.name, argv, needs_terminal=needs_terminal
        )
        probe = await asyncio.to_thread(relay_client.ssh, workspace.id, workspace.name, ("true",))
        return ShellCommand(command, dict(os.environ), by_tunnel=True, probe=probe)

    async def forwarding(
        self, workspace: Workspace, where: str, there: int | str, reported: str = ""
    ) -> tuple[str, ...]:
        """Return the ssh command that forwards to a port or a socket of the job, once its tunnel is open.
        Raises `PermanentError`.
        """
        relay_client = await self._wait_connected(workspace.id, workspace.name, reported)
        return await asyncio.to_thread(relay_client.forward, workspace.id, workspace.name, where, there)

    async def command(self, workspace_id: str, name: str, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Return the ssh command that runs a command in the workspace. Raises `PermanentError`."""
        relay_client = await self._wait_connected(workspace_id, name)
        return await asyncio.to_thread(relay_client.ssh, workspace_id, name, argv)

    async def is_connected(self, workspace: Workspace) -> bool:
        """Whether the workspace's job holds its tunnel now."""
        return self._relay_client is not None and await asyncio.to_thread(
            self._relay_client.is_connected, workspace.id
        )

    async def command_if_connected(
        self, workspace_id: str, name: str, argv: tuple[str, ...]
    ) -> tuple[str, ...] | None:
        """Do the same as `command`, but return None if there is no tunnel now."""
        if self._relay_client is None or not await asyncio.to_thread(
            self._relay_client.is_connected, workspace_id
        ):
            return None
        return await asyncio.to_thread(self._relay_client.ssh, workspace_id, name, argv)

    @asynccontextmanager
    async def open_channel(
        self, workspace_id: str, argv: tuple[str, ...], limit: int
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter] | None]:
        """Run a command in the workspace during the block; yield its output and input, or None without a tunnel.

        `limit` is the longest line in bytes: a longer one raises ValueError. Raises OSError.
        """
        command = await self.command_if_connected(workspace_id, workspace_id, argv)
        if command is None:
            yield None
            return
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL,
            limit=limit,
            env=environments.basic(os.environ),
        )
        assert process.stdout is not None and process.stdin is not None
        try:
            yield process.stdout, process.stdin
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def ask(
        self, workspace: Workspace, asked: tuple[str, ...], most: int, timeout_s: float, stdin: bytes = b""
    ) -> bytes:
        """Return the output of a command in the workspace's project; nothing if the command cannot be run."""
        if self._relay_client is None or not await asyncio.to_thread(
            self._relay_client.is_connected, workspace.id
        ):
            return b""
        argv = await asyncio.to_thread(self._relay_client.ssh, workspace.id, workspace.name, asked)
        try:
            return (await capture(argv, limit=most, timeout_s=timeout_s, stdin=stdin)).output
        except OSError:
            return b""

    async def stop(self, workspace_id: str) -> bool:
        """Ask the job through its tunnel to end, as GitLab would; return whether it accepted."""
        try:
            async with asyncio.timeout(STOP_S), self.open_channel(workspace_id, STOP, LONGEST) as channel:
                return channel is not None and await channel[0].readline() == b"stopping\n"
        except (OSError, ValueError, TimeoutError):
            return False

    def why_down(self, workspace_id: str, name: str, reported: str) -> Reason:
        """Return the reason why the workspace has no tunnel now. `reported` is its job's word, "" for none. Blocks."""
        if self._relay_client is None:
            return Reason(NO_ACCESS, NO_ACCESS_HINT.format(name or "NAME"))
        if self.problem is not None or self.address is None:
            problem = self.problem or PermanentError(
                "the relay has not been started yet", "It starts within seconds."
            )
            return Reason(problem.message, problem.hint)
        try:
            grant = self._relay_client.grant(workspace_id)
        except OSError as error:
            return Reason(f"its grant cannot be read: {error}", "`wsdash doctor` checks this machine.")
        return reason(
            name or (grant.name if grant else "") or "NAME",
            self.address,
            grant,
            self._relay_client.sighting(workspace_id),
            reported,
        )

    async def _wait_connected(self, workspace_id: str, name: str, reported: str = "") -> RelayClient:
        """The relay, once the tunnel stands. Raises `PermanentError` after `CONNECT_S`."""
        if self._relay_client is None:
            raise PermanentError(f"{name} cannot be entered: {NO_ACCESS}", NO_ACCESS_HINT.format(name))
        await self.ensure_relay()
        end = asyncio.get_running_loop().time() + CONNECT_S
        while not await asyncio.to_thread(self._relay_client.is_connected, workspace_id):
            if self.problem is not None:
                raise PermanentError(self.problem.message, self.problem.hint)
            if asyncio.get_running_loop().time() > end:
                why = await asyncio.to_thread(self.why_down, workspace_id, name, reported)
                raise PermanentError(f"{name} cannot be entered: {why.text}", why.hint)
            await asyncio.sleep(0.2)
        return self._relay_client


def _ensure_running(client: RelayClient) -> None:
    """Have the relay run. Before one with other settings ends, jobs get the new address through it."""
    client.ensure_running(lambda: send_address(client))
