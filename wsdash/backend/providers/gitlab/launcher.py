"""Starts the pipelines of attempts: writes the configuration to the branch of the workspace, and runs that commit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from wsdash.backend.git.credential_files import KeptCredentials
from wsdash.backend.job.render import idle_settings
from wsdash.backend.providers.errors import OwnershipLost, PermanentError, PreconditionFailed, ProviderError
from wsdash.backend.providers.gitlab import registry_checkpoints
from wsdash.backend.providers.gitlab.api.errors import NotFound, Rejected
from wsdash.backend.providers.gitlab.api.models import Commit, Pipeline
from wsdash.backend.providers.gitlab.api.project import ProjectInfo
from wsdash.backend.providers.gitlab.ci import config, pipeline_name
from wsdash.backend.providers.gitlab.ci.config import (
    Configuration,
    Identity,
    NotRenderable,
    Options,
    Restores,
)
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat, attempt_key, branch_of
from wsdash.backend.providers.gitlab.ci.record import Record, RecordError, Volume, message_of, record_of
from wsdash.backend.providers.gitlab.observe import observation, saved_state
from wsdash.backend.providers.gitlab.observe.observation import Memory
from wsdash.backend.providers.gitlab.session import Session
from wsdash.backend.providers.gitlab.tunnel.services import TunnelServices
from wsdash.backend.store.checkpoint_files import NO_CHECKPOINT
from wsdash.model import Attempt, Cause, JobObservation, JobState, Workspace
from wsdash.workload import Workload

REWRITE_HINT = "The next try writes the configuration again. Find out who may push there (docs/gitlab.md)."
TAKE_BACK = "`wsdash recover` takes it back."
FRESH_S = 5.0
"""The age in seconds from which an attempt may already have been launched by an earlier process."""


class Launcher:
    """Launches attempts, and remembers the pipeline of each attempt that this process has seen."""

    def __init__(self, session: Session, services: TunnelServices, credentials: KeptCredentials) -> None:
        self._session = session
        self._imports = services.imports
        self._checkpoints = services.checkpoints.kept
        self._credentials = credentials
        self._asked_for: set[str] = set()
        self._launching: dict[str, asyncio.Lock] = {}
        self._volumes: dict[str, Volume | None] = {}
        self._stored: dict[str, registry_checkpoints.RemoteCheckpoint | None] = {}
        """The newest checkpoint in the project, of workspaces whose pipelines are removed."""
        self._foreign: set[int] = set()
        self._launched: set[str] = set()
        """The workspaces that this process has launched a job of."""
        self.pipelines: dict[str, int] = {}
        """The id of each attempt's pipeline."""
        self.withdrawn: dict[str, JobObservation] = {}
        """The end of each attempt that was cancelled before it had a pipeline."""

    async def launch(self, workspace: Workspace, attempt: Attempt, workload: Workload) -> JobObservation:
        """Start the attempt's pipeline, or find the one that it already has.

        This takes at most a commit and a pipeline; no commit if the branch already has the configuration.
        """
        self._session.poller.expect_change()
        async with self._launching.setdefault(workspace.id, asyncio.Lock()):
            return await self._launch(workspace, attempt, workload)

    async def _launch(self, workspace: Workspace, attempt: Attempt, workload: Workload) -> JobObservation:
        if attempt.id in self.withdrawn:
            return self.withdrawn[attempt.id]
        session = self._session
        may_be_there = attempt.id in self._asked_for or session.clock() - attempt.intended_at >= FRESH_S
        self._asked_for.add(attempt.id)
        if may_be_there:
            found = await self.find(attempt)
            if found is not None and await self._is_ours(found, workspace.id):
                await self._authorize(workspace, attempt, found.id)
                return self._observed(found, attempt)
        if session.settings.encrypt_cache and not session.tunnel.is_configured:
            raise PermanentError(
                "encrypt_cache of the context needs a tunnel from jobs to this machine, which sends them the key",
                "Set host in [access] of config.toml to this machine's name as runners see it.",
            )
        await session.tunnel.ensure_relay()
        head = None
        if attempt.number > 1 or session.branches.may_hold(workspace.id):
            head = await self._head(workspace.id)
        project = await session.project.info()
        if session.settings.deposits and self._is_forgotten(workspace.id, attempt.number):
            stored = await registry_checkpoints.stored(session.api, project.id, workspace.id)
            self._stored[workspace.id] = stored
        configuration, message = await asyncio.to_thread(self._render, project, workspace, attempt, workload)
        is_written = configuration.takes_inputs and session.branches.holds(workspace.id, configuration.digest)
        if head is not None:
            self._check_head(workspace, head, is_written=is_written)
        if not is_written:
            await session.branches.write(workspace.id, configuration.text, configuration.digest, message)
        made = await self._start(workspace, attempt, configuration, message)
        self.pipelines[attempt.id] = made.id
        self._launched.add(workspace.id)
        await self._authorize(workspace, attempt, made.id)
        return self._observed(made, attempt)

    async def adopted(self, workspace: Workspace, attempt: Attempt) -> None:
        """Authorize its job unless there is a newer one: the process that created its pipeline may have died before
        that.
        """
        found = self._session.poller.pipelines.get(attempt.id)
        beats = [beat for beat in self._session.poller.beats.values() if beat.workspace_id == workspace.id]
        if found is None or any(beat.number > attempt.number for beat in beats):
            return
        if await self._is_ours(found, workspace.id):
            await self._authorize(workspace, attempt, found.id)

    async def take_over(self, workspace: Workspace, workload: Workload) -> None:
        """Make this store the owner, by one commit of the record and the configuration; GitLab refuses the other's
        launches.
        """
        session = self._session
        project = await session.project.info()
        if await self._head(workspace.id) is not None:
            session.branches.is_there(workspace.id)
        template = Attempt("recovered", workspace.id, 0, workspace.generation, session.clock())
        configuration, message = await asyncio.to_thread(self._render, project, workspace, template, workload)
        await session.branches.write(workspace.id, configuration.text, configuration.digest, message)

    def withdraw(self, attempt: Attempt) -> None:
        """Record that the attempt must not be launched any more."""
        self.withdrawn[attempt.id] = _withdrawn(attempt, self._session.clock())

    def forget(self, workspace_id: str) -> None:
        """Discard everything about a deleted workspace."""
        self._volumes.pop(workspace_id, None)
        self._stored.pop(workspace_id, None)
        self.withdrawn = {key: job for key, job in self.withdrawn.items() if job.workspace_id != workspace_id}

    # --- rendering -----------------------------------------------------------------------

    def _render(
        self, project: ProjectInfo, workspace: Workspace, attempt: Attempt, workload: Workload
    ) -> tuple[Configuration, str]:
        """Return the configuration and the commit's message. Blocks."""
        session, settings = self._session, self._session.settings
        record = Record(
            id=workspace.id,
            name=workspace.name,
            source_url=workspace.source_url,
            ref=workspace.ref,
            devfile_path=workspace.devfile_path,
            policy=workspace.policy,
            created_at=workspace.created_at,
            user=project.username,
            host=session.host,
            store=session.owner,
            workload=workload,
            volume=self._volumes.setdefault(workspace.id, self._volume()),
            image=settings.image,
        )
        message = message_of(record)
        options = Options(
            tags=settings.tags,
            image=settings.image,
            timeout_s=settings.timeout_s or project.timeout_s,
            beat_s=workspace.policy.beat_s,
            checkpoint_s=workspace.policy.checkpoint_s,
            remote_checkpoints=settings.deposits,
            idle=idle_settings(workspace.policy),
            injector_image=settings.injector_image,
            owner=session.owner,
            relay=session.tunnel.address,
            id_tokens=self._has_id_tokens(project),
            volume=record.volume,
            encrypt_cache=settings.encrypt_cache and record.volume is None,
            credentials=tuple(c.url for c in self._credentials.of(workspace.id) if c.password is not None),
            record=message,
        )
        identity = Identity(
            workspace.id,
            workspace.name,
            attempt_key(attempt.id, attempt.number, attempt.generation),
            restores=self._restores(workspace.id, attempt.number),
            checkpoint=self._checkpoint(workspace.id),
        )
        try:
            return config.render(workload, identity, options, may_take_inputs=project.takes_inputs), message
        except NotRenderable as error:
            raise PermanentError(str(error), "Change the devfile.") from error
        except ValueError as error:
            raise PermanentError(str(error), "Set timeout_s of the context in config.toml.") from error

    def _checkpoint(self, workspace_id: str) -> str:
        """Return the newest remote checkpoint, in the format that a job restores from."""
        kept = self._checkpoints.newest(workspace_id)
        remote = registry_checkpoints.newest(self._session.poller.beats.values(), workspace_id)
        remote = remote or self._stored.get(workspace_id)
        if remote is not None and (kept is None or remote.id > kept.id):
            return str(remote)
        return NO_CHECKPOINT if kept is None else str(kept.id)

    def _beats_of(self, workspace_id: str) -> list[Heartbeat]:
        return [beat for beat in self._session.poller.beats.values() if beat.workspace_id == workspace_id]

    def _is_forgotten(self, workspace_id: str, number: int) -> bool:
        """Whether there were jobs before, but GitLab has none of their pipelines any more."""
        return number > 1 and workspace_id not in self._launched and not self._beats_of(workspace_id)

    def _restores(self, workspace_id: str, number: int) -> Restores:
        """Return the state that the next job should find: the one saved last, or files that wait here for it.

        The number of that state is not known if the pipelines are gone.
        """
        beats = self._beats_of(workspace_id)
        if self._imports.has(workspace_id):
            if not any(saved_state.has_saved(beat) for beat in beats):
                return "import"
            self._imports.drop(workspace_id)
        return "yes" if self._is_forgotten(workspace_id, number) else saved_state.saved_last(beats)

    def _volume(self) -> Volume | None:
        path = self._session.settings.volume
        return None if path is None else Volume(path, self._session.settings.tags)

    # --- ownership of the branch ---------------------------------------------------------------------

    async def _head(self, workspace_id: str) -> Commit | None:
        """Return the last commit on the branch. If we wrote it, it says which volume has the files, whatever the
        context
        says now.
        """
        session = self._session
        try:
            name = branch_of(workspace_id)
            head = (await session.api.branch((await session.project.info()).id, name)).commit
        except NotFound:
            session.branches.forget(workspace_id)
            return None
        # Every user who may push could have the job run on a runner of their own.
        if not session.branches.is_foreign(workspace_id, head.id):
            with suppress(RecordError):
                self._volumes[workspace_id] = record_of(head.message).volume
        return head

    def _check_head(self, workspace: Workspace, head: Commit, *, is_written: bool) -> None:
        """Check the branch before it is written to or run: no other store may have taken the workspace over, and a
        pipeline
        would run any commit at the head as this user.

        GitLab creates pipelines of branches and tags only, so a commit cannot be requested ("Pipelines API").
        """
        with suppress(RecordError):
            record = record_of(head.message)
            if record.store != self._session.owner:
                raise OwnershipLost(f"{workspace.name} is kept alive by {record.host} now", TAKE_BACK)
        if is_written and self._session.branches.is_foreign(workspace.id, head.id):
            self._session.branches.distrust(workspace.id)
            raise PreconditionFailed(
                f"another user has changed the branch {branch_of(workspace.id)} (commit {head.id[:10]});"
                " no part of it ran",
                REWRITE_HINT,
            )

    async def _is_ours(self, found: Pipeline, workspace_id: str) -> bool:
        """Whether an attempt's pipeline runs the commit that we wrote last; any other pipeline is ended."""
        if not self._session.branches.is_foreign(workspace_id, found.sha):
            return True
        if observation.is_live(found):
            await self._end_foreign(workspace_id, found.id)
        return False

    async def _end_foreign(self, workspace_id: str, pipeline_id: int) -> None:
        """Cancel a pipeline that runs another commit, at every poll until it has ended, and authorize no job of it."""
        self._foreign.add(pipeline_id)
        with suppress(ProviderError):
            await self._cancel_foreign(pipeline_id)
        self._session.branches.distrust(workspace_id)
        await self._session.tunnel.revoke_attempt(workspace_id)
        branch = branch_of(workspace_id)
        raise PreconditionFailed(
            f"another user has changed the branch {branch}, so its pipeline {pipeline_id} is cancelled",
            REWRITE_HINT,
        )

    async def end_foreign(self) -> None:
        """Cancel again every pipeline that runs another user's commit."""
        for pipeline_id in list(self._foreign):
            with suppress(ProviderError):
                await self._cancel_foreign(pipeline_id)

    async def _cancel_foreign(self, pipeline_id: int) -> None:
        with suppress(NotFound):
            await self._session.api.cancel_pipeline((await self._session.project.info()).id, pipeline_id)
        self._foreign.discard(pipeline_id)

    async def _taken_over(self, workspace: Workspace) -> OwnershipLost:
        host = "another machine"
        with suppress(ProviderError, RecordError):
            project = await self._session.project.info()
            branch = await self._session.api.branch(project.id, branch_of(workspace.id))
            host = record_of(branch.commit.message).host
        return OwnershipLost(f"{workspace.name} is kept alive by {host} now", TAKE_BACK)

    # --- pipelines ------------------------------------------------------------------------------

    async def _start(
        self, workspace: Workspace, attempt: Attempt, configuration: Configuration, message: str
    ) -> Pipeline:
        variables = {}
        if not self._has_id_tokens(await self._session.project.info()):
            secret = await self._session.tunnel.issue_one_time_secret(workspace, attempt)
            variables = {config.ONE_TIME_SECRET: secret} if secret else {}
        try:
            return await self.create(workspace.id, configuration.inputs, variables)
        except Rejected as refusal:
            reason = refusal.reason.lower()
            if "owner" in reason and "allowed options" in reason:
                raise await self._taken_over(workspace) from refusal
            if "reference not found" not in reason:
                raise
        # The branch that was known to exist has been removed.
        branches = self._session.branches
        branches.forget(workspace.id)
        await branches.write(workspace.id, configuration.text, configuration.digest, message)
        return await self.create(workspace.id, configuration.inputs, variables)

    async def _authorize(self, workspace: Workspace, attempt: Attempt, pipeline_id: int) -> None:
        """Authorize by the id token of its pipeline; a pipeline with a secret is authorized already."""
        if self._has_id_tokens(await self._session.project.info()):
            await self._session.tunnel.ensure_relay()
            await self._session.tunnel.authorize(workspace, attempt, pipeline_id)

    def _has_id_tokens(self, project: ProjectInfo) -> bool:
        return project.has_id_tokens and self._session.settings.id_tokens

    async def create(
        self, workspace_id: str, inputs: Mapping[str, str], variables: Mapping[str, str]
    ) -> Pipeline:
        """Create a pipeline of our commit only: another user's commit on the branch would run as this user."""
        project = await self._session.project.info()
        made = await self._session.api.create_pipeline(project.id, branch_of(workspace_id), inputs, variables)
        if self._session.branches.is_foreign(workspace_id, made.sha):
            await self._end_foreign(workspace_id, made.id)
        return made

    async def find(self, attempt: Attempt) -> Pipeline | None:
        """Return the pipeline with this attempt's key, among all of the workspace's branch."""
        project = await self._session.project.info()
        branch, page = branch_of(attempt.workspace_id), 1
        while True:
            listing = await self._session.api.pipelines(project.id, ref=branch, page=page)
            beats = [(found, pipeline_name.parse(found.name)) for found in listing.items]
            own = [
                (found, beat) for found, beat in beats if beat is not None and beat.attempt_id == attempt.id
            ]
            for found, beat in beats:
                if beat is not None and "config" in beat.facts and page == 1:
                    self._session.branches.record_digest(
                        attempt.workspace_id, beat.facts["config"], found.sha
                    )
                    break
            if own:
                (one, _), *_ = observation.chosen(own)[0]
                self.pipelines[attempt.id] = one.id
                return one
            if listing.is_whole:
                return None
            page += 1

    async def pipeline_of(self, attempt: Attempt) -> int | None:
        """Return the id of the attempt's pipeline, None if it has none."""
        if attempt.id in self.pipelines:
            return self.pipelines[attempt.id]
        if attempt.job_id is not None and attempt.job_id.isdecimal():
            return int(attempt.job_id)
        found = await self.find(attempt)
        return None if found is None else found.id

    def _observed(self, found: Pipeline, attempt: Attempt) -> JobObservation:
        beat = pipeline_name.parse(found.name) or Heartbeat(
            attempt.workspace_id, attempt.id, attempt.number, attempt.generation
        )
        return observation.observed(found, beat, Memory(), 0.0, self._session.clock())


def _withdrawn(attempt: Attempt, now: float) -> JobObservation:
    return JobObservation(
        attempt.id,
        JobState.ENDED,
        job_id="",
        ended_at=now,
        cause=Cause.CANCELLED,
        message="it was cancelled before its pipeline was created",
        workspace_id=attempt.workspace_id,
        number=attempt.number,
        generation=attempt.generation,
    )
