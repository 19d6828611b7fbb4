"""The GitLab provider: implements `base.py` with pipelines. Each call takes a few requests of `api/endpoints.py`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from pathlib import Path

from wsdash.backend.access.relay_client import RelayClient
from wsdash.backend.archive.streams import ByteSink, ByteSource, in_thread
from wsdash.backend.clone_address import Credential
from wsdash.backend.git.credential_files import KeptCredentials
from wsdash.backend.job import ports, protocol, shells
from wsdash.backend.providers.base import Provider
from wsdash.backend.providers.errors import NotRunning, PermanentError, Unreachable
from wsdash.backend.providers.features import (
    Adopts,
    CheckoutQueries,
    ChecksWorkload,
    ClonesByNetwork,
    Files,
    Forwards,
    Ports,
    Recoverable,
    RemoteSecretStore,
    ReportsLeftWork,
    Savable,
    SecretStore,
    Shells,
)
from wsdash.backend.providers.gitlab.api import ci_variables, tokens
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import NotFound
from wsdash.backend.providers.gitlab.api.project import CurrentProject
from wsdash.backend.providers.gitlab.api.shared_listing import SharedListing
from wsdash.backend.providers.gitlab.ci import pipeline_name
from wsdash.backend.providers.gitlab.ci.branch import BranchWriter
from wsdash.backend.providers.gitlab.deletion import Deletion, force_cancel
from wsdash.backend.providers.gitlab.launcher import Launcher
from wsdash.backend.providers.gitlab.limitations import limitations_of
from wsdash.backend.providers.gitlab.observe import observation
from wsdash.backend.providers.gitlab.observe.log_reader import LogReader
from wsdash.backend.providers.gitlab.observe.poller import LOG_S, PipelinePoller
from wsdash.backend.providers.gitlab.recovery import read_inventory
from wsdash.backend.providers.gitlab.session import Session
from wsdash.backend.providers.gitlab.tunnel import file_transfer
from wsdash.backend.providers.gitlab.tunnel.services import TunnelServices
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.backend.providers.gitlab.workspace_secrets import WorkspaceSecrets
from wsdash.backend.providers.types import (
    Capabilities,
    CheckoutQuery,
    Inventory,
    Limitation,
    LogChunk,
    Orphan,
    PackReport,
    PollIntervals,
    ProviderSnapshot,
    ShellCommand,
)
from wsdash.backend.rules import autodelete
from wsdash.backend.rules.leftovers import Ids
from wsdash.backend.store.secret_notes import SecretNotes
from wsdash.config.settings import GitLabSettings
from wsdash.model import Attempt, JobObservation, JobState, UnsavedTotals, Workspace
from wsdash.workload import Workload


class GitLabProvider(
    Provider,
    Shells,
    Ports,
    Forwards,
    Savable,
    Files,
    CheckoutQueries,
    ReportsLeftWork,
    ChecksWorkload,
    ClonesByNetwork,
    SecretStore,
    RemoteSecretStore,
    Adopts,
    Recoverable,
):
    """Runs jobs as pipelines of the project that `settings` names.

    `host` and `owner` identify the store that keeps the workspaces alive: the machine's name, and an id of the store.
    `log_s` is the time in seconds between two reads of a log that is still needed. `shared` is for contexts of the
    same instance and token. `files_folder` has the files of workspaces that are stored on this machine,
    `cache_key_file` the secret of encrypted caches. Git in a job may ask this machine for credentials for
    `credential_hosts`.
    """

    kind = "gitlab"
    described_by = "GitLab"

    def __init__(
        self,
        settings: GitLabSettings,
        api: GitLabApi,
        *,
        host: str,
        owner: str,
        clock: Callable[[], float],
        boot_clock: Callable[[], float] | None = None,
        log_s: float = LOG_S,
        shared: SharedListing | None = None,
        relay_client: RelayClient | None = None,
        files_folder: Path,
        cache_key_file: Path,
        credential_hosts: Collection[str] = (),
    ) -> None:
        self.poll_intervals = PollIntervals(settings.poll_s, 5 * settings.poll_s, 20 * settings.poll_s)
        self._api = api
        self._settings = settings
        self._project = CurrentProject(api, settings.project)
        self._tunnel = JobTunnel(relay_client, settings, clock)
        self._kept = KeptCredentials(files_folder / "credentials")
        self._services = TunnelServices(
            self._tunnel, settings, files_folder, cache_key_file, credential_hosts, self._kept
        )
        self._poller = PipelinePoller(
            api,
            self._project,
            clock,
            log_s,
            shared,
            settings.poll_s,
            self._services.heartbeats,
            boot_clock,
            settings.tags,
        )
        self._branches = BranchWriter(api, self._project, files_folder / "branches")
        self._session = Session(
            settings, api, self._project, self._tunnel, self._branches, self._poller, clock, host, owner
        )
        notes = SecretNotes(files_folder / "secrets")
        self._secrets = WorkspaceSecrets(self._session, self._kept, notes)
        self._launcher = Launcher(self._session, self._services, self._kept)
        self._deletion = Deletion(self._session, self._launcher, notes)
        self._logs = LogReader(api, clock)
        self._shared = shared
        if shared is not None:
            shared.users += 1
        self._forced: set[str] = set()

    def check_secret(self, name: str, value: str) -> None:
        """Raise `PermanentError` for a value that GitLab cannot mask."""
        ci_variables.check(name, value)

    async def keep_secrets(self, workspace: Workspace, values: Mapping[str, str]) -> None:
        """Store secrets as masked CI/CD variables of the project."""
        await self._secrets.keep(workspace, values)

    async def keep_credentials(
        self, workspace: Workspace, workload: Workload, credentials: Collection[Credential]
    ) -> None:
        """Store credentials of the workspace's addresses for its jobs."""
        await self._secrets.keep_credentials(workspace, credentials)

    def kept_credentials(self, workspace: Workspace) -> tuple[Credential, ...]:
        """Return the credentials that are stored on this machine. Blocks."""
        return self._kept.of(workspace.id)

    async def forget_lost(self, ask_ids: Callable[[], Awaitable[Ids]]) -> None:
        """Remove secrets of workspaces that the state store does not know."""
        await self._secrets.forget_lost(ask_ids)

    # --- jobs -----------------------------------------------------------------------------------

    async def launch(self, workspace: Workspace, attempt: Attempt, workload: Workload) -> JobObservation:
        """Start the attempt's pipeline, or return the job that it already has."""
        return await self._launcher.launch(workspace, attempt, workload)

    async def adopted(self, workspace: Workspace, attempt: Attempt) -> None:
        """Complete the launch of an attempt whose pipeline was found running."""
        await self._launcher.adopted(workspace, attempt)

    async def observe(self) -> ProviderSnapshot:
        """Return every pipeline of this user's workspaces in the project."""
        await self._launcher.end_foreign()
        seen = await self._poller.poll()
        await self._services.serve(seen.jobs)
        await self._deletion.prune()
        for attempt_id, found in self._poller.pipelines.items():
            self._launcher.pipelines[attempt_id] = found.id
        for beat in sorted(self._poller.beats.values(), key=lambda beat: beat.number):
            if "config" in beat.facts:
                sha = self._poller.pipelines[beat.attempt_id].sha
                self._branches.record_digest(beat.workspace_id, beat.facts["config"], sha)
        checkpoints, beats = self._services.checkpoints, list(self._poller.beats.values())
        jobs = await asyncio.to_thread(checkpoints.placed, seen.jobs, beats)
        return replace(seen, jobs=(*jobs, *self._launcher.withdrawn.values()))

    async def changes(self) -> AsyncIterator[frozenset[str]]:
        """Yield nothing: GitLab cannot notify its clients."""
        return
        yield frozenset()

    async def cancel(self, attempt: Attempt, grace_s: float) -> None:
        """Ask the job to end, through the tunnel if there is one and through GitLab: it runs its preStop, and saves."""
        pipeline_id = await self._launcher.pipeline_of(attempt)
        if pipeline_id is None:
            self._launcher.withdraw(attempt)
            return
        ends = await self._tunnel.stop(attempt.workspace_id)
        try:
            await self._api.cancel_pipeline((await self._project.info()).id, pipeline_id)
        except NotFound:
            return
        except Unreachable:
            if not ends:
                raise

    async def save(self, workspace: Workspace, attempt: Attempt) -> None:
        """Store a checkpoint of a running job on this machine, through its tunnel.

        Does nothing for a job that never had a tunnel, or that stores remote checkpoints itself as it ends.
        """
        seen = attempt.last_observation
        if not self._tunnel.is_configured or seen is None or seen.state is not JobState.RUNNING:
            return
        is_remote = self._settings.deposits and not self._settings.encrypt_cache
        was_there = seen.saved_at is not None and not is_remote
        if was_there or await self._tunnel.is_connected(workspace):
            await self._services.checkpoints.save(workspace.id, workspace.name)

    async def force_cancel(self, attempt: Attempt) -> None:
        """End the job at once. GitLab allows this to maintainers, and only while the job is ending."""
        pipeline_id = await self._launcher.pipeline_of(attempt)
        if pipeline_id is None:
            self._launcher.withdraw(attempt)
            return
        with suppress(NotFound):
            await force_cancel(self._api, (await self._project.info()).id, pipeline_id)
            self._forced.add(attempt.id)

    async def destroy(self, workspace: Workspace) -> str | None:
        """Remove the workspace's folder on a volume, its branch and secrets; its pipelines if the user is an owner."""
        await self._tunnel.revoke(workspace)
        self._services.imports.drop(workspace.id)
        await asyncio.to_thread(self._services.checkpoints.kept.drop, workspace.id)
        await asyncio.to_thread(self._kept.drop, workspace.id)
        return await self._deletion.remove(workspace.id)

    async def end_orphan(self, orphan: Orphan) -> None:
        """Remove the credentials, jobs and branches of a workspace whose description is lost."""
        await asyncio.to_thread(self._kept.drop, orphan.workspace_id)
        await self._deletion.remove(orphan.workspace_id)

    async def may_have_others(self, known: Collection[str]) -> bool:
        """Return False, because finding out takes requests: `wsdash recover` makes them."""
        return False

    async def inventory(self, context: str) -> Inventory:
        """Return all of this user's workspaces, from branches and pipelines: a few requests for hundreds of them."""
        return await read_inventory(self._session, context)

    async def take_over(self, workspace: Workspace, workload: Workload) -> None:
        """Make this state store the workspace's owner, by a commit to its branch."""
        await self._launcher.take_over(workspace, workload)

    # --- inside a job -------------------------------------------------------------------------

    async def read_log(self, attempt: Attempt, offset: int, limit: int) -> LogChunk:
        """Return up to `limit` bytes of the log from `offset` on, as far as the runner has sent it."""
        project = await self._project.info()
        pipeline_id = await self._launcher.pipeline_of(attempt)
        if pipeline_id is None:
            return LogChunk(b"", 0, 0, attempt.end is not None)
        found = self._poller.pipelines.get(attempt.id)
        has_ended = attempt.end is not None or attempt.id in self._forced
        has_ended = has_ended or (found is not None and not observation.is_live(found))
        return await self._logs.read(project.id, pipeline_id, offset, limit, has_ended=has_ended)

    async def shell(
        self, workspace: Workspace, attempt: Attempt, argv: tuple[str, ...], *, needs_terminal: bool = False
    ) -> ShellCommand:
        """Return the ssh command for a shell or a command in the job. Raises `NotRunning` for an ended attempt."""
        reported = await self._refuse_an_ended(workspace, attempt)
        return await self._tunnel.shell(workspace, argv, reported, needs_terminal=needs_terminal)

    async def _refuse_an_ended(self, workspace: Workspace, attempt: Attempt) -> str:
        """GitLab, which may be silent, is asked only where no tunnel stands. Raises NotRunning.

        Return what the job reports of its tunnel, "" where it reports nothing.
        """
        if await self._tunnel.is_connected(workspace):
            return ""
        found = await self._launcher.find(attempt)
        if found is None or not observation.is_live(found):
            raise NotRunning(f"the job of {workspace.name} has ended", "Start it first.")
        beat = pipeline_name.parse(found.name)
        return "" if beat is None else beat.facts.get("tunnel", "")

    async def listening(self, workspace: Workspace, attempt: Attempt) -> bytes | None:
        """Return the output of ports.sh in the job; None if it has no tunnel to this machine."""
        return await self._ask_job(workspace, protocol.LISTENING, ports.MOST_BYTES, ports.TIMEOUT_S)

    async def shells(self, workspace: Workspace, attempt: Attempt) -> bytes | None:
        """Return the job's number of open sessions; None if it has no tunnel, and then no session of this machine."""
        return await self._ask_job(workspace, protocol.SHELLS, shells.MOST_BYTES, shells.TIMEOUT_S)

    async def _ask_job(self, workspace: Workspace, command: str, most: int, timeout_s: float) -> bytes | None:
        if not await self._tunnel.is_connected(workspace):
            return None
        return await self._tunnel.ask(workspace, (command,), most, timeout_s)

    async def forwarding(
        self, workspace: Workspace, attempt: Attempt, where: str, there: int | str
    ) -> tuple[str, ...]:
        """Return the ssh command that forwards to a port or a socket of the job. Raises as `shell` does."""
        reported = await self._refuse_an_ended(workspace, attempt)
        return await self._tunnel.forwarding(workspace, where, there, reported)

    async def ask_checkout(self, workspace: Workspace, workload: Workload, question: CheckoutQuery) -> bytes:
        """Run the program in the job; return nothing if the job has no tunnel to this machine."""
        return await self._tunnel.ask(
            workspace, question.argv, question.most, question.timeout_s, question.program
        )

    def left_behind(self, workspace: Workspace, attempts: Sequence[Attempt]) -> UnsavedTotals | None:
        """Return the last job's report. Checkpoints that were set aside on this machine are not part of it."""
        totals = autodelete.left_by(attempts)
        if totals is not None and self._services.checkpoints.kept.superseded(workspace.id):
            return replace(totals, is_whole=False)
        return totals

    async def pack(self, workspace: Workspace, sink: ByteSink) -> PackReport:
        """Write the files as a tar, through the tunnel of its job, which has the only copy."""
        try:
            argv = await self._tunnel.command(workspace.id, workspace.name, file_transfer.SEND)
        except PermanentError as error:
            hint = f"{error.hint} Its files are in its job, so they can only be exported while it runs."
            raise PermanentError(error.message, hint) from error
        return await in_thread(lambda: file_transfer.pack(argv, workspace.name, sink), sink)

    def unpack(
        self, workspace: Workspace, source: ByteSource, known: Callable[[], Awaitable[Collection[str]]]
    ) -> AbstractAsyncContextManager[None]:
        """Store the files on this machine until a job of the workspace runs and receives them through its tunnel."""
        if not self._tunnel.is_configured:
            raise PermanentError(
                f"files cannot be sent to {workspace.name}: its job does not know this machine's address",
                "Set host in [access] of config.toml to this machine's name as runners see it.",
            )
        return self._services.imports.receive(workspace, source, known)

    async def capabilities(self) -> Capabilities:
        """Return what jobs support: the image and the services are the runner's part."""
        notes = [f"jobs run as pipelines of {self._settings.project} at {self._settings.url}"]
        if self._settings.placement == "source":
            notes.append(
                "every user who may push there can read the workspaces' caches; placement own prevents that"
            )
        return Capabilities("a CI job", True, tuple(notes), starts_services=True)

    async def git_environ(self) -> dict[str, str]:
        """Return variables that give Git the token. Only the environment has it, and Git sends it to this instance
        only.
        """
        return await asyncio.to_thread(
            tokens.git_environ, self._settings.url, self._settings.ca_file, self._api.client.token, os.environ
        )

    async def limitations(self, workload: Workload) -> list[Limitation]:
        """Return requested features that the project does not support."""
        return await limitations_of(self._api, self._settings, workload)

    async def aclose(self) -> None:
        """Stop the services of tunnels, and close the connections to GitLab."""
        if self._shared is not None:
            self._shared.users -= 1
        await self._services.aclose()
        await self._api.client.aclose()
