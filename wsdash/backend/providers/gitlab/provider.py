"""The GitLab provider: the contract of `base.py` with pipelines. Each call is a few requests of `api/endpoints.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from pathlib import Path

from wsdash.backend.access.relay_client import RelayClient
from wsdash.backend.archive.streams import ByteSink, ByteSource, in_thread
from wsdash.backend.git.clone_address import Credential
from wsdash.backend.git.credential_files import KeptCredentials
from wsdash.backend.job import ports
from wsdash.backend.job.render import idle_settings
from wsdash.backend.providers.base import (
    Capabilities,
    CheckoutQuery,
    Inventory,
    Limitation,
    LogChunk,
    NotRunning,
    Orphan,
    OwnershipLost,
    PackReport,
    PermanentError,
    PollIntervals,
    PreconditionFailed,
    ProviderError,
    ProviderSnapshot,
    ShellCommand,
    Unreachable,
)
from wsdash.backend.providers.gitlab import ci_variables, registry_checkpoints
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import Forbidden, NotFound, Rejected
from wsdash.backend.providers.gitlab.api.models import Pipeline
from wsdash.backend.providers.gitlab.api.project import ProjectInfo, find_project
from wsdash.backend.providers.gitlab.api.shared_listing import SharedListing
from wsdash.backend.providers.gitlab.ci import config, pipeline_name
from wsdash.backend.providers.gitlab.ci.branch import BranchWriter
from wsdash.backend.providers.gitlab.ci.config import (
    Configuration,
    Identity,
    NotRenderable,
    Options,
    Restores,
)
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat, attempt_key, branch_of
from wsdash.backend.providers.gitlab.ci.record import Record, RecordError, Volume, message_of, record_of
from wsdash.backend.providers.gitlab.limitations import limitations_of
from wsdash.backend.providers.gitlab.observe import observation, saved_state
from wsdash.backend.providers.gitlab.observe.log_reader import LogReader
from wsdash.backend.providers.gitlab.observe.observation import Memory
from wsdash.backend.providers.gitlab.observe.poller import LOG_S, MOST_PAGES, PipelinePoller
from wsdash.backend.providers.gitlab.recovery import inventory_of
from wsdash.backend.providers.gitlab.registry_checkpoints import RemoteCheckpoint
from wsdash.backend.providers.gitlab.tunnel import file_transfer
from wsdash.backend.providers.gitlab.tunnel.cache_keys import CacheKeys
from wsdash.backend.providers.gitlab.tunnel.checkpoints import Checkpoints
from wsdash.backend.providers.gitlab.tunnel.git_credentials import CredentialServer
from wsdash.backend.providers.gitlab.tunnel.heartbeats import TunnelHeartbeats
from wsdash.backend.providers.gitlab.tunnel.imports import PendingImports
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.backend.providers.gitlab.volume_removal import VolumeRemoval
from wsdash.backend.rules import autodelete
from wsdash.backend.store.checkpoint_files import NO_CHECKPOINT
from wsdash.backend.store.secret_notes import SecretNote, SecretNotes
from wsdash.backend.system.leftovers import Ids
from wsdash.config.settings import GitLabSettings
from wsdash.model import Attempt, Cause, JobObservation, JobState, UnsavedTotals, Workspace
from wsdash.workload import Workload

MOST_PRUNED = 5
"""Workspaces whose older checkpoints in the registry one poll removes; those of the others follow."""
WRITTEN_ANEW = "The next try writes the configuration anew. Find out who may push there (docs/gitlab.md)."
FRESH_S = 5.0
"""An attempt that was intended longer ago may have been asked for already, by whoever was here before."""


class GitLabProvider:
    """Runs jobs as pipelines of the project that `settings` names.

    `host` and `owner` say who keeps the workspaces alive: the machine's name, and an id of the state store.
    `log_s` is the time in seconds between two readings of a log that is still to tell something. `shared` is
    for contexts of the same instance and token. `files_folder` holds what is kept here of workspaces' files,
    `cache_key_file` the secret of sealed caches. Git in a job may ask this machine for credentials for
    `credential_hosts`.
    """

    kind = "gitlab"

    def __init__(
        self,
        settings: GitLabSettings,
        api: GitLabApi,
        *,
        host: str,
        owner: str,
        clock: Callable[[], float],
        log_s: float = LOG_S,
        shared: SharedListing | None = None,
        relay_client: RelayClient | None = None,
        files_folder: Path,
        cache_key_file: Path,
        credential_hosts: Collection[str] = (),
    ) -> None:
        self.poll_intervals = PollIntervals(settings.poll_s, 5 * settings.poll_s, 20 * settings.poll_s)
        self._settings = settings
        self._api = api
        self._host = host
        self._owner = owner
        self._clock = clock
        self._tunnel = JobTunnel(relay_client, settings, clock)
        self._imports = PendingImports(files_folder / "incoming", self._tunnel)
        self._kept = KeptCredentials(files_folder / "credentials")
        self._notes = SecretNotes(files_folder / "secrets")
        self._credentials = CredentialServer(credential_hosts, self._tunnel, self._kept.of)
        self._cache_keys = CacheKeys(cache_key_file, self._tunnel)
        self._checkpoints = Checkpoints(files_folder / "checkpoints", self._tunnel)
        self._shared = shared
        if shared is not None:
            shared.users += 1
        self._heartbeats = TunnelHeartbeats(self._tunnel)
        self._poller = PipelinePoller(api, clock, log_s, shared, settings.poll_s, self._heartbeats)
        self._branches = BranchWriter(api, files_folder / "branches")
        self._removal = VolumeRemoval(api, clock)
        self._volumes: dict[str, Volume | None] = {}
        self._logs = LogReader(api, clock)
        self._project: ProjectInfo | None = None
        self._finding = asyncio.Lock()
        self._asked_for: set[str] = set()
        self._withdrawn: dict[str, JobObservation] = {}
        self._launching: dict[str, asyncio.Lock] = {}
        self._pipelines: dict[str, int] = {}
        self._forced: set[str] = set()
        self._foreign: set[int] = set()
        self._pruned: dict[str, RemoteCheckpoint] = {}

    def check_secret(self, name: str, value: str) -> None:
        ci_variables.check(name, value)

    async def keep_secrets(self, workspace: Workspace, values: Mapping[str, str]) -> None:
        await self._note(workspace)
        await ci_variables.keep(self._api, (await self._find_project()).id, workspace.id, values)

    async def keep_credentials(
        self, workspace: Workspace, workload: Workload, credentials: Collection[Credential]
    ) -> None:
        """On this machine, from where its jobs get them through their tunnel; without one, in the project."""
        before = await asyncio.to_thread(self._kept.of, workspace.id)
        if set(credentials) <= set(before):
            return
        await self._note(workspace)
        if not self._tunnel.is_configured:
            project = (await self._find_project()).id
            await ci_variables.keep_credentials(
                self._api, project, workspace.id, self._settings.url, credentials
            )
        await asyncio.to_thread(self._kept.keep, workspace.id, credentials)

    def kept_credentials(self, workspace: Workspace) -> tuple[Credential, ...]:
        return self._kept.of(workspace.id)

    async def forget_lost(self, ask_ids: Callable[[], Awaitable[Ids]]) -> None:
        """Only what this machine has noted to be its own, and nothing of what `recover` could bring back."""
        noted = await asyncio.to_thread(lambda: list(self._notes.all()))
        here = (self._settings.url, self._settings.project)
        own = {note.workspace_id for note in noted if (note.url, note.project) == here}
        if not own:
            return
        ids = await ask_ids()
        for workspace_id in sorted(own - ids.living - ids.elsewhere):
            project = await self._find_project()
            if not await self._is_there(project, workspace_id):
                await ci_variables.forget(self._api, project.id, workspace_id)
                await asyncio.to_thread(self._kept.drop, workspace_id)
                await asyncio.to_thread(self._notes.drop, workspace_id)

    async def _is_there(self, project: ProjectInfo, workspace_id: str) -> bool:
        """Whether it has a branch, or a job that may still run."""
        branch = branch_of(workspace_id)
        with suppress(NotFound):
            await self._api.branch(project.id, branch)
            return True
        listing = await self._api.pipelines(project.id, ref=branch)
        return any(observation.is_live(found) for found in listing.items)

    async def _note(self, workspace: Workspace) -> None:
        note = SecretNote(workspace.id, self._settings.url, self._settings.project)
        await asyncio.to_thread(self._notes.add, note)

    # --- jobs -----------------------------------------------------------------------------------

    async def launch(self, workspace: Workspace, attempt: Attempt, workload: Workload) -> JobObservation:
        """Start the attempt's pipeline, or find the one that it already has: a commit and a pipeline at most,
        and only a pipeline where the branch holds the configuration already.
        """
        project = await self._find_project()
        self._poller.expect_change()
        async with self._launching.setdefault(workspace.id, asyncio.Lock()):
            return await self._launch(project, workspace, attempt, workload)

    async def _launch(
        self, project: ProjectInfo, workspace: Workspace, attempt: Attempt, workload: Workload
    ) -> JobObservation:
        if attempt.id in self._withdrawn:
            return self._withdrawn[attempt.id]
        may_be_there = attempt.id in self._asked_for or self._clock() - attempt.intended_at >= FRESH_S
        self._asked_for.add(attempt.id)
        if may_be_there:
            found = await self._find(project, attempt)
            if found is not None and await self._is_ours(project, found, workspace.id):
                await self._authorize(project, workspace, attempt, found.id)
                return self._observed(found, attempt)
        if self._settings.encrypt_cache and not self._tunnel.is_configured:
            raise PermanentError(
                "encrypt_cache of the context needs a way for jobs to this machine, by which they get the key",
                "Set host in [access] of config.toml to this machine's name as runners see it.",
            )
        await self._tunnel.ensure_relay()
        configuration, message = await asyncio.to_thread(self._render, project, workspace, attempt, workload)
        if self._is_written(workspace, configuration):
            await self._check_head(project, workspace)
        elif attempt.number > 1:
            await self._check_owner(project, workspace)
            configuration, message = await asyncio.to_thread(
                self._render, project, workspace, attempt, workload
            )
        if not self._is_written(workspace, configuration):
            await self._write(project, workspace, configuration, message)
        made = await self._start(project, workspace, attempt, configuration, message)
        self._pipelines[attempt.id] = made.id
        await self._authorize(project, workspace, attempt, made.id)
        return self._observed(made, attempt)

    async def observe(self) -> ProviderSnapshot:
        """Every pipeline of this user's workspaces in the project."""
        project = await self._find_project()
        for pipeline_id in list(self._foreign):
            with suppress(ProviderError):
                await self._cancel_foreign(project, pipeline_id)
        look = await self._poller.poll(project)
        # One that starts may be waiting for what comes through its tunnel.
        if any(job.state is not JobState.ENDED for job in look.jobs):
            await self._tunnel.ensure_relay()
        if self._tunnel.is_configured:
            for job in look.jobs:
                self._serve(job)
        await self._prune(project)
        for attempt_id, found in self._poller.pipelines.items():
            self._pipelines[attempt_id] = found.id
        newest = sorted(self._poller.beats.values(), key=lambda beat: beat.number)
        for beat in newest:
            if "config" in beat.facts:
                sha = self._poller.pipelines[beat.attempt_id].sha
                self._branches.learn(beat.workspace_id, beat.facts["config"], sha)
        return ProviderSnapshot(look.at, (*look.jobs, *self._withdrawn.values()))

    def _serve(self, job: JobObservation) -> None:
        """Beside whatever else goes on: files for a job that starts, and checkpoints of one that runs."""
        if job.state in (JobState.STARTING, JobState.RUNNING):
            self._heartbeats.follow(job.workspace_id, job.attempt_id)
            if self._settings.encrypt_cache:
                self._cache_keys.send(job.workspace_id, job.attempt_id)
            self._credentials.serve(job.workspace_id, job.attempt_id)
        if job.state is JobState.STARTING:
            self._imports.send(job.workspace_id, job.attempt_id)
            self._checkpoints.send(job.workspace_id, job.attempt_id)
        if job.state is JobState.RUNNING:
            self._checkpoints.follow(job.workspace_id, job.attempt_id, job.number)

    async def changes(self) -> AsyncIterator[frozenset[str]]:
        """GitLab gives no hints to a client that it cannot reach."""
        return
        yield frozenset()

    async def cancel(self, attempt: Attempt, grace_s: float) -> None:
        """Ask for the end, through the tunnel where there is one and of GitLab: the job runs its preStop, and saves."""
        project = await self._find_project()
        pipeline_id = await self._pipeline_of(project, attempt)
        if pipeline_id is None:
            self._withdrawn[attempt.id] = _withdrawn(attempt, self._clock())
            return
        ends = await self._tunnel.stop(attempt.workspace_id)
        try:
            await self._api.cancel_pipeline(project.id, pipeline_id)
        except NotFound:
            return
        except Unreachable:
            if not ends:
                raise

    async def save(self, workspace: Workspace, attempt: Attempt) -> None:
        """A checkpoint, kept on this machine: for a job that runs, and whose tunnel is or was there.

        One without a tunnel puts its last one into the project as it ends, unless it may not.
        """
        seen = attempt.seen
        if not self._tunnel.is_configured or seen is None or seen.state is not JobState.RUNNING:
            return
        deposits = self._settings.deposits and not self._settings.encrypt_cache
        was_there = seen.saved_at is not None and not deposits
        if was_there or await self._tunnel.is_connected(workspace):
            await self._checkpoints.save(workspace.id, workspace.name)

    async def force_cancel(self, attempt: Attempt) -> None:
        """End the job at once, which GitLab lets maintainers do, and only while it is ending."""
        project = await self._find_project()
        pipeline_id = await self._pipeline_of(project, attempt)
        if pipeline_id is None:
            self._withdrawn[attempt.id] = _withdrawn(attempt, self._clock())
            return
        try:
            jobs = await self._api.jobs(project.id, pipeline_id, urgent=True)
        except NotFound:
            return
        for job in jobs:
            status = job.status
            if observation.STATES.get(status) not in (JobState.ENDED, JobState.ENDING):
                status = (await self._api.cancel_job(project.id, job.id)).status
            if observation.STATES.get(status) is not JobState.ENDED:
                try:
                    await self._api.cancel_job(project.id, job.id, force=True)
                except Forbidden as error:
                    raise PreconditionFailed(
                        f"job {job.id} is ending, and only a maintainer may force it",
                        "Ask one to, or wait: GitLab ends it by itself within the hour.",
                    ) from error
        self._forced.add(attempt.id)

    async def destroy(self, workspace: Workspace) -> str | None:
        """Remove the workspace's folder on a volume, its branch and secrets, and its pipelines where the user may:
        only an owner may.
        """
        await self._tunnel.revoke(workspace)
        self._imports.drop(workspace.id)
        await asyncio.to_thread(self._checkpoints.kept.drop, workspace.id)
        await asyncio.to_thread(self._kept.drop, workspace.id)
        return await self._remove(await self._find_project(), workspace.id)

    async def _remove(self, project: ProjectInfo, workspace_id: str) -> str | None:
        left = await self._remove_volume(project, workspace_id)
        branch = branch_of(workspace_id)
        may_delete = True
        page = 1
        while True:
            listing = await self._api.pipelines(project.id, ref=branch, page=page)
            for found in listing.items:
                if observation.is_live(found):
                    await self._api.cancel_pipeline(project.id, found.id)
                if may_delete:
                    may_delete = await self._delete_pipeline(project, found)
            if listing.is_whole:
                break
            page = 1 if may_delete else page + 1
        await ci_variables.forget(self._api, project.id, workspace_id)
        await asyncio.to_thread(self._notes.drop, workspace_id)
        await registry_checkpoints.prune(self._api, project.id, workspace_id, None)
        self._pruned.pop(workspace_id, None)
        await self._api.delete_branch(project.id, branch)
        self._branches.forget(workspace_id)
        self._volumes.pop(workspace_id, None)
        self._withdrawn = {
            key: job for key, job in self._withdrawn.items() if job.workspace_id != workspace_id
        }
        return left

    async def _remove_volume(self, project: ProjectInfo, workspace_id: str) -> str | None:
        async def start(text: str, message: str) -> Pipeline:
            await self._branches.write(project, workspace_id, text, "removal", message)
            return await self._create(project, workspace_id, {}, {})

        return await self._removal.remove(project, workspace_id, start)

    # --- looking inside -------------------------------------------------------------------------

    async def read_log(self, attempt: Attempt, offset: int, limit: int) -> LogChunk:
        """Up to `limit` bytes of the log from `offset` on, as far as the runner has sent it."""
        project = await self._find_project()
        pipeline_id = await self._pipeline_of(project, attempt)
        if pipeline_id is None:
            return LogChunk(b"", 0, 0, attempt.end is not None)
        found = self._poller.pipelines.get(attempt.id)
        has_ended = attempt.end is not None or attempt.id in self._forced
        has_ended = has_ended or (found is not None and not observation.is_live(found))
        return await self._logs.read(project.id, pipeline_id, offset, limit, has_ended=has_ended)

    async def shell(self, workspace: Workspace, attempt: Attempt, argv: tuple[str, ...]) -> ShellCommand:
        """GitLab, which may be silent, is asked only where no tunnel stands."""
        if not await self._tunnel.is_connected(workspace):
            found = await self._find(await self._find_project(), attempt)
            if found is None or not observation.is_live(found):
                raise NotRunning(f"the job of {workspace.name} has ended", "Start it first.")
        return await self._tunnel.shell(workspace, argv)

    async def listening(self, workspace: Workspace, attempt: Attempt) -> bytes | None:
        """None where its job has no tunnel to this machine."""
        if not await self._tunnel.is_connected(workspace):
            return None
        return await self._tunnel.ask(workspace, ("wsdash-listening",), ports.MOST_BYTES, ports.TIMEOUT_S)

    async def forwarding(self, workspace: Workspace, where: str, there: int | str) -> tuple[str, ...]:
        return await self._tunnel.forwarding(workspace, where, there)

    def socket_here(self, workspace: Workspace, path: str) -> str | None:
        return None

    async def ask_checkout(self, workspace: Workspace, workload: Workload, question: CheckoutQuery) -> bytes:
        """Nothing where its job has no tunnel to this machine."""
        return await self._tunnel.ask(
            workspace, question.argv, question.most, question.timeout_s, question.program
        )

    def left_behind(self, workspace: Workspace, attempts: Sequence[Attempt]) -> UnsavedTotals | None:
        """Checkpoints that were set aside on this machine are no part of what its last job had."""
        totals = autodelete.left_by(attempts)
        if totals is not None and self._checkpoints.kept.superseded(workspace.id):
            return replace(totals, is_whole=False)
        return totals

    async def pack(self, workspace: Workspace, sink: ByteSink) -> PackReport:
        """Through the tunnel of its job, which alone has its files."""
        try:
            argv = await self._tunnel.command(workspace.id, workspace.name, file_transfer.SEND)
        except PermanentError as error:
            hint = f"{error.hint} Its files are with its job: they are exported while that runs."
            raise PermanentError(error.message, hint) from error
        return await in_thread(lambda: file_transfer.pack(argv, workspace.name, sink), sink)

    def unpack(
        self, workspace: Workspace, source: ByteSource, known: Callable[[], Awaitable[Collection[str]]]
    ) -> AbstractAsyncContextManager[None]:
        """They are kept here until a job of it runs and gets them through its tunnel."""
        if not self._tunnel.is_configured:
            raise PermanentError(
                f"files cannot be brought to {workspace.name}: its job does not know where this machine is",
                "Set host in [access] of config.toml to this machine's name as runners see it.",
            )
        return self._imports.receive(workspace, source, known)

    async def capabilities(self) -> Capabilities:
        """What jobs get: the image and the services are the runner's part."""
        notes = [f"jobs run as pipelines of {self._settings.project} at {self._settings.url}"]
        if self._settings.placement == "source":
            notes.append(
                "anybody who may push there can read the workspaces' caches; placement own keeps them apart"
            )
        return Capabilities("a CI job", True, tuple(notes), starts_services=True)

    async def limitations(self, workload: Workload) -> list[Limitation]:
        return await limitations_of(self._api, self._settings, workload)

    def folder(self, workspace: Workspace) -> str | None:
        return None

    async def aclose(self) -> None:
        if self._shared is not None:
            self._shared.users -= 1
        await self._imports.aclose()
        await self._checkpoints.aclose()
        await self._credentials.aclose()
        await self._cache_keys.aclose()
        await self._heartbeats.aclose()
        await self._api.client.aclose()

    # --- small helpers --------------------------------------------------------------------------

    async def _find_project(self) -> ProjectInfo:
        async with self._finding:
            if self._project is None:
                self._project = await find_project(self._api, self._settings.project)
            return self._project

    def _render(
        self, project: ProjectInfo, workspace: Workspace, attempt: Attempt, workload: Workload
    ) -> tuple[Configuration, str]:
        record = Record(
            id=workspace.id,
            name=workspace.name,
            source_url=workspace.source_url,
            ref=workspace.ref,
            devfile_path=workspace.devfile_path,
            policy=workspace.policy,
            created_at=workspace.created_at,
            user=project.username,
            host=self._host,
            store=self._owner,
            workload=workload,
            volume=self._volumes.setdefault(workspace.id, self._volume()),
            image=self._settings.image,
        )
        message = message_of(record)
        options = Options(
            tags=self._settings.tags,
            image=self._settings.image,
            timeout_s=self._settings.timeout_s or project.timeout_s,
            beat_s=workspace.policy.beat_s,
            checkpoint_s=workspace.policy.checkpoint_s,
            deposits=self._settings.deposits,
            idle=idle_settings(workspace.policy),
            injector_image=self._settings.injector_image,
            owner=self._owner,
            relay=self._tunnel.address,
            id_tokens=self._has_id_tokens(project),
            volume=record.volume,
            sealed=self._settings.encrypt_cache and record.volume is None,
            credentials=tuple(c.url for c in self._kept.of(workspace.id) if c.password is not None),
            record=message,
        )
        by_input = project.takes_inputs and config.can_take_inputs(workload, options)
        key = None if by_input else attempt_key(attempt.id, attempt.number, attempt.generation)
        identity = Identity(
            workspace.id,
            workspace.name,
            key,
            restores=self._restores(workspace.id),
            checkpoint=self._checkpoint(workspace.id),
        )
        try:
            return config.render(workload, identity, options), message
        except NotRenderable as error:
            raise PermanentError(str(error), "Change the devfile.") from error
        except ValueError as error:
            raise PermanentError(str(error), "Set timeout_s of the context in config.toml.") from error

    def _checkpoint(self, workspace_id: str) -> str:
        """The newest, as its job is told: where it is, and which."""
        kept = self._checkpoints.kept.newest(workspace_id)
        remote = registry_checkpoints.newest(self._poller.beats.values(), workspace_id)
        if remote is not None and (kept is None or remote.id > kept.id):
            return str(remote)
        return NO_CHECKPOINT if kept is None else str(kept.id)

    async def _prune(self, project: ProjectInfo) -> None:
        """Only the newest checkpoint in the registry of each workspace stays."""
        beats = [beat for beat in self._poller.beats.values() if "deposit" in beat.facts]
        newest = {beat.workspace_id: registry_checkpoints.newest(beats, beat.workspace_id) for beat in beats}
        changed = [(i, found) for i, found in newest.items() if found and self._pruned.get(i) != found]
        for workspace_id, found in changed[:MOST_PRUNED]:
            self._pruned[workspace_id] = found
            with suppress(ProviderError):
                await registry_checkpoints.prune(self._api, project.id, workspace_id, found)

    def _restores(self, workspace_id: str) -> Restores:
        """What the next job is to find: the state that was saved last, or files that wait here for it."""
        beats = [beat for beat in self._poller.beats.values() if beat.workspace_id == workspace_id]
        if self._imports.has(workspace_id):
            if not any(saved_state.has_saved(beat) for beat in beats):
                return "import"
            self._imports.drop(workspace_id)
        return saved_state.saved_last(beats)

    async def _taken_over(self, project: ProjectInfo, workspace: Workspace) -> OwnershipLost:
        host = "another machine"
        with suppress(ProviderError, RecordError):
            host = record_of(
                (await self._api.branch(project.id, branch_of(workspace.id))).commit.message
            ).host
        return OwnershipLost(
            f"{workspace.name} is kept alive by {host} now", "`wsdash recover` takes it back."
        )

    async def _check_owner(self, project: ProjectInfo, workspace: Workspace) -> None:
        """Before a branch that is there is written to: nobody else may have taken it over."""
        record = await self._learn_volume(project, workspace)
        if record is not None and record.store != self._owner:
            raise OwnershipLost(
                f"{workspace.name} is kept alive by {record.host} now", "`wsdash recover` takes it back."
            )

    async def _check_head(self, project: ProjectInfo, workspace: Workspace) -> None:
        """Just before a pipeline is made: it would run whatever is at the head of the branch as this user.

        GitLab makes pipelines of branches and tags alone, so a commit cannot be asked for ("Pipelines API").
        """
        name = branch_of(workspace.id)
        try:
            head = (await self._api.branch(project.id, name)).commit
        except NotFound:
            self._branches.forget(workspace.id)
            return
        if not self._branches.is_foreign(workspace.id, head.id):
            return
        await self._check_owner(project, workspace)
        self._branches.doubt(workspace.id)
        raise PreconditionFailed(
            f"somebody else has changed the branch {name} (commit {head.id[:10]}); nothing of it ran",
            WRITTEN_ANEW,
        )

    async def _is_ours(self, project: ProjectInfo, found: Pipeline, workspace_id: str) -> bool:
        """Whether an attempt's pipeline runs the commit that we have written last; another one is ended."""
        if not self._branches.is_foreign(workspace_id, found.sha):
            return True
        if observation.is_live(found):
            await self._end_foreign(project, workspace_id, found.id)
        return False

    async def _end_foreign(self, project: ProjectInfo, workspace_id: str, pipeline_id: int) -> None:
        """Cancel at once what runs another commit, and let it in by nothing; with each look again until it is."""
        self._foreign.add(pipeline_id)
        with suppress(ProviderError):
            await self._cancel_foreign(project, pipeline_id)
        self._branches.doubt(workspace_id)
        await self._tunnel.revoke_attempt(workspace_id)
        branch = branch_of(workspace_id)
        raise PreconditionFailed(
            f"somebody else has changed the branch {branch}, so its pipeline {pipeline_id} is cancelled",
            WRITTEN_ANEW,
        )

    async def _cancel_foreign(self, project: ProjectInfo, pipeline_id: int) -> None:
        with suppress(NotFound):
            await self._api.cancel_pipeline(project.id, pipeline_id)
        self._foreign.discard(pipeline_id)

    async def _learn_volume(self, project: ProjectInfo, workspace: Workspace) -> Record | None:
        """Its files stay where they were put first, whatever the context says now."""
        try:
            branch = await self._api.branch(project.id, branch_of(workspace.id))
            record = record_of(branch.commit.message)
        except (NotFound, RecordError):
            return None
        # Whoever may push could have the job run on a runner of theirs.
        if not self._branches.is_foreign(workspace.id, branch.commit.id):
            self._volumes[workspace.id] = record.volume
        return record

    def _volume(self) -> Volume | None:
        path = self._settings.volume
        return None if path is None else Volume(path, self._settings.tags)

    def _is_written(self, workspace: Workspace, configuration: Configuration) -> bool:
        return configuration.takes_inputs and self._branches.holds(workspace.id, configuration.digest)

    # --- recovery -------------------------------------------------------------------------------

    async def may_have_others(self, known: Collection[str]) -> bool:
        """`wsdash recover` asks."""
        return False

    async def inventory(self, context: str) -> Inventory:
        """All of this user's workspaces, from the branches and the pipelines: a few requests for hundreds."""
        project = await self._find_project()
        branches = await self._api.branches(project.id, pipeline_name.BRANCH)
        pipelines: list[Pipeline] = []
        page, skew = 1, 0.0
        while True:
            listing = await self._api.pipelines(project.id, username=project.username, page=page)
            pipelines += listing.items
            skew = listing.skew
            if listing.is_whole or page >= MOST_PAGES:
                break
            page += 1
        return inventory_of(branches, pipelines, context, project.username, self._owner, skew, self._clock())

    async def take_over(self, workspace: Workspace, workload: Workload) -> None:
        """One commit: the record and the configuration name this store, and GitLab refuses the other's launches."""
        project = await self._find_project()
        await self._learn_volume(project, workspace)
        template = Attempt("recovered", workspace.id, 0, workspace.generation, self._clock())
        configuration, message = await asyncio.to_thread(self._render, project, workspace, template, workload)
        self._branches.is_there(workspace.id)
        await self._write(project, workspace, configuration, message)

    async def end_orphan(self, orphan: Orphan) -> None:
        await asyncio.to_thread(self._kept.drop, orphan.workspace_id)
        await self._remove(await self._find_project(), orphan.workspace_id)

    async def _write(
        self, project: ProjectInfo, workspace: Workspace, configuration: Configuration, message: str
    ) -> None:
        self._project = await self._branches.write(
            project, workspace.id, configuration.text, configuration.digest, message
        )

    async def _start(
        self,
        project: ProjectInfo,
        workspace: Workspace,
        attempt: Attempt,
        configuration: Configuration,
        message: str,
    ) -> Pipeline:
        inputs = {}
        if configuration.takes_inputs:
            key = attempt_key(attempt.id, attempt.number, attempt.generation)
            inputs = {
                "attempt": key,
                "restores": self._restores(workspace.id),
                "checkpoint": await asyncio.to_thread(self._checkpoint, workspace.id),
                "owner": self._owner,
            }
        variables = {}
        if not self._has_id_tokens(project):
            secret = await self._tunnel.issue_one_time_secret(workspace, attempt)
            variables = {config.ONE_TIME_SECRET: secret} if secret else {}
        try:
            return await self._create(project, workspace.id, inputs, variables)
        except Rejected as refusal:
            said = refusal.said.lower()
            if "owner" in said and "allowed options" in said:
                raise await self._taken_over(project, workspace) from refusal
            if "reference not found" not in said:
                raise
        # Somebody has removed the branch that was known to be there.
        self._branches.forget(workspace.id)
        await self._write(project, workspace, configuration, message)
        return await self._create(project, workspace.id, inputs, variables)

    async def _authorize(
        self, project: ProjectInfo, workspace: Workspace, attempt: Attempt, pipeline_id: int
    ) -> None:
        """By the id token of its pipeline; one with a secret is let in already."""
        if self._has_id_tokens(project):
            await self._tunnel.authorize(workspace, attempt, pipeline_id)

    def _has_id_tokens(self, project: ProjectInfo) -> bool:
        return project.has_id_tokens and self._settings.id_tokens

    async def _create(
        self, project: ProjectInfo, workspace_id: str, inputs: dict[str, str], variables: dict[str, str]
    ) -> Pipeline:
        """A pipeline of the commit that is ours: what somebody else has put on the branch would run as this user."""
        made = await self._api.create_pipeline(project.id, branch_of(workspace_id), inputs, variables)
        if self._branches.is_foreign(workspace_id, made.sha):
            await self._end_foreign(project, workspace_id, made.id)
        return made

    async def _find(self, project: ProjectInfo, attempt: Attempt) -> Pipeline | None:
        """The pipeline with this attempt's key, among all of the workspace's branch."""
        branch, page = branch_of(attempt.workspace_id), 1
        while True:
            listing = await self._api.pipelines(project.id, ref=branch, page=page)
            beats = [(found, pipeline_name.parse(found.name)) for found in listing.items]
            own = [
                (found, beat) for found, beat in beats if beat is not None and beat.attempt_id == attempt.id
            ]
            for found, beat in beats:
                if beat is not None and "config" in beat.facts and page == 1:
                    self._branches.learn(attempt.workspace_id, beat.facts["config"], found.sha)
                    break
            if own:
                (one, _), *_ = observation.chosen(own)[0]
                self._pipelines[attempt.id] = one.id
                return one
            if listing.is_whole:
                return None
            page += 1

    async def _pipeline_of(self, project: ProjectInfo, attempt: Attempt) -> int | None:
        if attempt.id in self._pipelines:
            return self._pipelines[attempt.id]
        if attempt.job_id is not None and attempt.job_id.isdecimal():
            return int(attempt.job_id)
        found = await self._find(project, attempt)
        return None if found is None else found.id

    async def _delete_pipeline(self, project: ProjectInfo, found: Pipeline) -> bool:
        try:
            await self._api.delete_pipeline(project.id, found.id)
        except Forbidden:
            return False
        except NotFound:
            return True
        return True

    def _observed(self, found: Pipeline, attempt: Attempt) -> JobObservation:
        beat = pipeline_name.parse(found.name) or Heartbeat(
            attempt.workspace_id, attempt.id, attempt.number, attempt.generation
        )
        return observation.observed(found, beat, Memory(), 0.0, self._clock())


def _withdrawn(attempt: Attempt, now: float) -> JobObservation:
    return JobObservation(
        attempt.id,
        JobState.ENDED,
        job_id="",
        ended_at=now,
        cause=Cause.CANCELLED,
        message="it was cancelled before it was asked for",
        workspace_id=attempt.workspace_id,
        number=attempt.number,
        generation=attempt.generation,
    )
