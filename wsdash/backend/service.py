"""The use cases: what a user can do with workspaces. The only door for `cli.py` and `screens/`.

(The quick, reading verbs of the command line go through `wsdash.backend.store.reader`, which this module also
uses, because they may not load asyncio.)
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from wsdash.backend.errors import NotRunning, NotSaved, UserError
from wsdash.backend.git.clone_address import Credential, settings_for
from wsdash.backend.git.source import own_identity
from wsdash.backend.job import ports as job_ports
from wsdash.backend.job.ports import Ports
from wsdash.backend.job.render import project_folder
from wsdash.backend.operations import connect_gitlab, context_file, daemon
from wsdash.backend.operations.create import (
    CreateRequest,
    Preview,
    address_for,
    free_name,
    look_and_translate,
    split_address,
    split_request,
)
from wsdash.backend.operations.devfile_source import fetcher
from wsdash.backend.operations.explain import Why, why
from wsdash.backend.operations.update import Update, differences
from wsdash.backend.providers import LOCAL, base
from wsdash.backend.providers import unsaved_work as providers_unsaved_work
from wsdash.backend.providers.base import (
    Capabilities,
    KeepsSecretsElsewhere,
    LogChunk,
    Provider,
    ProviderError,
    ShellCommand,
    UnsavedWork,
)
from wsdash.backend.providers.registry import ProviderPool
from wsdash.backend.reconcile.context_poller import surviving
from wsdash.backend.reconcile.leader import Keeper
from wsdash.backend.rules.autodelete import is_worth_asking, record_of
from wsdash.backend.store import database
from wsdash.backend.store.errors import DatabaseError
from wsdash.backend.store.file_watch import FileWatch
from wsdash.backend.store.lease import boot_time
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.backend.store.reader import PlannedStep, Reader, WorkspaceDetail, WorkspaceRow
from wsdash.backend.store.store import NameTaken, Store
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.model import Attempt, Desired, Event, Phase, Workspace
from wsdash.paths import Paths

if TYPE_CHECKING:
    from pathlib import Path

    from wsdash.backend.access.web_editor import Editor
    from wsdash.backend.operations.connect_gitlab import ContextPreview, ContextRequest
    from wsdash.backend.operations.recover import Plan
    from wsdash.backend.operations.save_work import Kept
    from wsdash.backend.operations.transfer import Exported, ImportRequest
    from wsdash.backend.providers.base import Known, Orphan
    from wsdash.config.settings import Config
    from wsdash.model import Policy

__all__ = ["CreateRequest", "Preview", "Reconciling", "Service", "UnsavedWork", "Update", "UserError", "Why"]

T = TypeVar("T")
log = logging.getLogger(__name__)

CHANGES_S = 0.5
LOOK_S = 3.0
"""Who only looks at a workspace waits no longer for what it has."""
WAITING_S = 0.1


@dataclass(frozen=True, slots=True)
class Reconciling:
    """Who keeps the jobs alive now: `this` process, a `daemon`, another `dashboard`, or `nobody`."""

    by: str
    pid: int | None


class Service:
    """Open it with `async with Service.open(paths)`. For use on one event loop."""

    def __init__(
        self,
        paths: Paths,
        store: Store,
        reader: Reader,
        thread: ThreadPoolExecutor,
        notices: list[str],
        clock: Callable[[], float],
    ) -> None:
        self._paths = paths
        self._store = store
        self._reader = reader
        self._thread = thread
        self._clock = clock
        self._providers = ProviderPool(paths)
        self._keeper = Keeper(
            paths,
            store,
            providers=self._contexts,
            workspaces_mark=lambda: self._read(reader.workspaces_mark),
            recover=self._recover_lost,
            forget=self._forget_lost,
            clock=clock,
        )
        self.notices = notices
        """What had to be done to the store before it could be used, and since, as sentences for the user."""
        store.told = self._tell

    @classmethod
    @asynccontextmanager
    async def open(cls, paths: Paths, *, clock: Callable[[], float] = time.time) -> AsyncIterator[Service]:
        """Raises `PathError` and `DatabaseError` when the state cannot be used."""
        with ThreadPoolExecutor(1, "wsdash-reader") as thread:
            loop = asyncio.get_running_loop()
            notices = await loop.run_in_executor(thread, database.prepare, paths)
            reader = Reader(paths)
            try:
                async with Store.open(paths) as store:
                    service = cls(paths, store, reader, thread, notices, clock)
                    try:
                        yield service
                    finally:
                        await service._providers.aclose()
            finally:
                await loop.run_in_executor(thread, reader.close)

    # Reading.

    async def workspaces(self, *, deleted: bool = False) -> list[WorkspaceRow]:
        """All workspaces by name, with their phase now."""
        return await self._read(lambda: self._reader.workspaces(self._clock(), deleted=deleted))

    async def find(self, name: str) -> Workspace:
        """The workspace that a user calls so, by its name or id: all that is done to it then names its id.

        Raises `NoSuchWorkspace`.
        """
        return await self._read(lambda: self._reader.find(name))

    async def detail(self, workspace_id: str) -> WorkspaceDetail:
        """Also of a deleted one: whoever waits for that is told. Raises `NoSuchWorkspace`."""
        return await self._read(lambda: self._reader.detail(workspace_id, self._clock()))

    async def events(self, workspace_id: str, *, limit: int = 200) -> list[Event]:
        """Newest first."""
        workspace = await self._find(workspace_id, deleted=True)
        return await self._read(lambda: self._reader.events(workspace.id, limit=limit))

    async def why(self, workspace_id: str) -> Why:
        return why(await self.detail(workspace_id), self._clock())

    async def plan(self) -> list[PlannedStep]:
        """What the reconciler would do next, and why."""
        return await self._read(lambda: self._reader.plan(self._clock()))

    async def changes(self) -> AsyncIterator[None]:
        """Yields when anybody has changed the store."""
        watch = FileWatch(self._paths.database)
        version: tuple[object, int] | None = await self._read(self._reader.data_version)
        while True:
            await asyncio.sleep(CHANGES_S)
            if not watch.may_have_changed():
                continue
            try:
                latest = await self._read(self._reader.data_version)
            except (sqlite3.Error, DatabaseError):
                latest = None  # whoever reads now is told why
            if latest != version:
                version = latest
                yield

    async def read_log(
        self, workspace_id: str, *, attempt: int | None = None, offset: int = 0, limit: int = 65536
    ) -> LogChunk:
        """Bytes of an attempt's log (the newest attempt's by default): untrusted text. Also of a deleted one."""
        workspace, found = await self._attempt(workspace_id, attempt, deleted=True)
        return await self._provider(workspace).read_log(found, offset, limit)

    async def capabilities(self, context: str = LOCAL) -> Capabilities:
        """What jobs run in here."""
        return await self._provider_of(context).capabilities()

    async def unsaved_work(self, workspace_id: str, within_s: float | None = None) -> UnsavedWork | None:
        """What only this workspace has, which is recorded; None if nobody can say, or not `within_s` seconds."""
        workspace = await self._find(workspace_id)
        workload = await self._store.workload(workspace.id)
        at = self._clock()
        work = await providers_unsaved_work.look(self._provider(workspace), workspace, workload, within_s)
        if work is not None:
            before = (await self._find(workspace_id)).unsaved
            await self._store.unsaved_told(workspace.id, record_of(work.totals, at, before, workspace.policy))
        return work

    async def look_again(self, workspace_id: str) -> None:
        """Have what only this workspace has recorded anew, where that takes a moment and was not done lately."""
        row = (await self.detail(workspace_id)).row
        has_folder = await asyncio.to_thread(self.folder, row.workspace) is not None
        if is_worth_asking(row.workspace, row.attempt, self._clock(), has_folder=has_folder):
            # A provider may take longer than its limit; nobody waits for it.
            with suppress(TimeoutError, UserError):
                async with asyncio.timeout(LOOK_S + 1.0):
                    await self.unsaved_work(workspace_id, LOOK_S)

    async def keep_work(self, workspace_id: str) -> Kept:
        """What only this workspace has, into files on this machine. Raises `UserError` where not all of it is kept."""
        from wsdash.backend.operations import save_work
        from wsdash.backend.store.checkpoint_files import KeptCheckpoints

        workspace = await self._find(workspace_id)
        workload = await self._store.workload(workspace.id)
        said = b""
        with suppress(ProviderError):
            asked = save_work.question(project_folder(workload))
            said = await self._provider(workspace).ask_checkout(workspace, workload, asked)
        folder, now = self._paths.state / "kept", self._clock()
        checkpoints = KeptCheckpoints(self._paths.state / "checkpoints")
        newest = await asyncio.to_thread(checkpoints.newest, workspace.id)
        if not said and newest is not None:
            file = checkpoints.file(workspace.id, newest)
            return await asyncio.to_thread(
                save_work.keep_checkpoint, newest, file, workspace.name, folder, now
            )
        kept = await asyncio.to_thread(save_work.keep, said, workspace.name, folder, now)
        await self.unsaved_work(workspace.id)
        return kept

    def folder(self, workspace: Workspace) -> str | None:
        """Where the workspace's files are on this machine, if they are."""
        return self._provider(workspace).folder(workspace)

    # Doing. Each returns when the wish is committed; `wait_for` waits for the phase.

    async def preview(
        self, request: CreateRequest, progress: Callable[[str], None] = lambda _: None
    ) -> Preview:
        """Look at the source and show what would be created. Raises `UserError`."""
        request = replace(request, context=request.context or (await self.contexts()).default_context)
        request, credentials = split_request(request)
        rows = await self.workspaces()
        name = free_name(request, {row.workspace.name for row in rows})
        return await self._look(request, name, progress, credentials)

    async def preview_update(
        self, workspace_id: str, choices: CreateRequest, progress: Callable[[str], None] = lambda _: None
    ) -> Update:
        """What its source makes of a workspace now, where it was made from. Raises `UserError`.

        Of `choices` count the component, the image and the secrets, which are not kept.
        """
        workspace = await self._find(workspace_id)
        request = replace(
            choices,
            source=workspace.source_url,
            ref=workspace.ref,
            devfile=workspace.devfile_path,
            context=workspace.context,
        )
        credentials = await asyncio.to_thread(self._provider(workspace).kept_credentials, workspace)
        preview = await self._look(request, workspace.name, progress, credentials)
        present = await self._store.workload(workspace.id)
        return Update(workspace.id, preview, await asyncio.to_thread(differences, present, preview.workload))

    async def _look(
        self,
        request: CreateRequest,
        name: str,
        progress: Callable[[str], None],
        credentials: tuple[Credential, ...],
    ) -> Preview:
        config = await self.contexts()
        provider = self._provider_of(request.context)
        progress("looking at what jobs run in here")
        capabilities = await provider.capabilities()
        git_environ: dict[str, str] = {}
        if provider.kind != LOCAL:
            request, found_here = split_request(await address_for(request))
            credentials = (*found_here, *credentials)
            git_environ = await asyncio.to_thread(connect_gitlab.git_environ, request.context, self._paths)
        fetch = fetcher(*context_file.hosts_of(config.contexts[request.context]))
        identity = await own_identity() if config.personal.git_identity else None
        personal = config.personal
        own: tuple[Credential, ...] = ()
        if personal.dotfiles is not None:
            address, own = split_address(personal.dotfiles, "")
            personal = replace(personal, dotfiles=address)
        git_environ |= settings_for(credentials, {**os.environ, **git_environ})
        found = await look_and_translate(
            request, name, capabilities, progress, git_environ, fetch, personal, identity
        )
        progress("asking what the context gives")
        remarks = tuple(await provider.remarks(found.workload))
        return replace(found, remarks=remarks, credentials=(*credentials, *found.credentials, *own))

    async def create(
        self, preview: Preview, policy: Policy | None = None, values: Mapping[str, str] | None = None
    ) -> Workspace:
        """Create exactly what the preview showed, wanted running. Raises `UserError`.

        `values` are those of secrets, by name, which the provider keeps and nobody else.
        """
        from wsdash.config.settings import policy_for

        for name, value in (values or {}).items():
            self.check_secret(preview.context, name, value)
        now = self._clock()
        workspace = Workspace(
            id=secrets.token_hex(5),
            name=preview.name,
            context=preview.context,
            source_url=preview.source_url,
            ref=preview.ref,
            devfile_path=preview.devfile_path,
            # No job may start before its secrets are kept; and what is kept must belong to something.
            desired=Desired.STOPPED if values or preview.credentials else Desired.RUNNING,
            generation=1,
            policy=policy or policy_for(self._paths.config_file, preview.context),
            created_at=now,
            changed_at=now,
        )
        text = f"created from {preview.source_url or 'no source'} at {preview.ref or 'the default branch'}"
        try:
            await self._store.create_workspace(workspace, preview.workload, text)
        except NameTaken:
            raise UserError(
                f"there is a workspace {preview.name} already", "Choose another name.", field="name"
            ) from None
        if values or preview.credentials:
            await self._keep_secrets(workspace, preview, values or {})
            return await self._wish(workspace, Desired.RUNNING, renew=False, text="its secrets are kept")
        self._keeper.nudge(workspace.id)
        return workspace

    async def _keep_secrets(self, workspace: Workspace, preview: Preview, values: Mapping[str, str]) -> None:
        provider = self._provider(workspace)
        try:
            if preview.credentials:
                await provider.keep_credentials(workspace, preview.workload, preview.credentials)
            if values:
                await provider.keep_secrets(workspace, values)
        except ProviderError as error:
            await self._wish(workspace, Desired.DELETED, renew=False, text="its secrets cannot be kept")
            raise UserError(error.message, error.hint, exit_code=4) from error

    def check_secret(self, context: str, name: str, value: str, field: str = "") -> None:
        """Raises `UserError`, with the field, for a value that the context cannot keep."""
        try:
            self._provider_of(context).check_secret(name, value)
        except ProviderError as error:
            raise UserError(error.message, error.hint, field=field) from error

    async def start(self, workspace_id: str) -> Workspace:
        """Want it running; one that has failed gets a new chance."""
        workspace = await self._find(workspace_id)
        row = (await self.detail(workspace_id)).row
        renew = row.status.phase is Phase.FAILED or workspace.desired is not Desired.RUNNING
        return await self._wish(workspace, Desired.RUNNING, renew=renew, text="start")

    async def stop(self, workspace_id: str, *, unsaved: bool = False) -> Workspace:
        """Want it stopped, once its work is kept outside of its job. Raises `NotSaved` unless it may be `unsaved`."""
        workspace = await self._find(workspace_id)
        if not unsaved:
            await self._save(workspace)
        return await self._wish(workspace, Desired.STOPPED, renew=False, text="stop")

    async def restart(self, workspace_id: str, *, unsaved: bool = False) -> Workspace:
        """Want a new attempt; the present job is saved and ends gracefully first. Raises as `stop` does."""
        workspace = await self._find(workspace_id)
        if not unsaved:
            await self._save(workspace)
        return await self._wish(workspace, Desired.RUNNING, renew=True, text="restart")

    async def update(self, update: Update, *, unsaved: bool = False) -> Workspace:
        """Run what the preview of an update showed from now on: in a new attempt where it is wanted running.

        Raises as `stop` does.
        """
        preview = update.preview
        workspace = await self._find(update.workspace_id)
        if not unsaved:
            await self._save(workspace)
        if preview.credentials:
            try:
                await self._provider(workspace).keep_credentials(
                    workspace, preview.workload, preview.credentials
                )
            except ProviderError as error:
                raise UserError(error.message, error.hint, exit_code=4) from error
        await self._store.update_workload(workspace.id, preview.workload, self._clock())
        if workspace.desired is not Desired.RUNNING:
            return workspace
        return await self._wish(workspace, Desired.RUNNING, renew=True, text="update")

    async def extend(self, workspace_id: str, hours: float) -> float:
        """Put its autostop off by that much: when it comes now at the earliest. Raises `UserError`."""
        workspace = await self._find(workspace_id)
        row = (await self.detail(workspace_id)).row
        if workspace.policy.max_hours is None and workspace.policy.idle_minutes is None:
            raise UserError(
                f"{workspace.name} has no autostop",
                "max_hours and idle_minutes in config.toml set one for new ones.",
            )
        if row.status.phase not in (Phase.RUNNING, Phase.STARTING):
            raise UserError(f"{workspace.name} is {row.status.phase}", "Only what runs can be kept running.")
        now = self._clock()
        until = max(now, row.status.until or now) + hours * 3600
        at = time.strftime("%H:%M", time.localtime(until))
        await self._store.extended(workspace.id, until, now, f"the user asked: no autostop before {at}")
        self._keeper.nudge(workspace.id)
        return until

    async def _save(self, workspace: Workspace) -> None:
        attempts = await self._read(lambda: self._reader.attempts(workspace.id))
        if not attempts or not attempts[-1].is_live:
            return
        await self.ensure_reconciler()
        try:
            await self._provider(workspace).save(workspace, attempts[-1])
        except ProviderError as error:
            raise NotSaved(error.message, f"{error.hint} Or use --force, and lose it.") from error

    async def delete(self, workspace_id: str) -> Workspace:
        """Want it gone, with everything that only it owned."""
        return await self._wish(await self._find(workspace_id), Desired.DELETED, renew=False, text="delete")

    async def end_now(self, workspace_id: str) -> bool:
        """End its job at once, without the grace: the way out when it never ends by itself.

        What the job has not saved is lost. Where it is wanted running, a new job follows. False when there
        is no job to be ended. Raises `UserError`.
        """
        workspace = await self._find(workspace_id)
        attempts = await self._read(lambda: self._reader.attempts(workspace.id))
        attempt = next((attempt for attempt in reversed(attempts) if attempt.is_live), None)
        if attempt is None:
            return False
        await self._store.end_now_wished(attempt, self._clock(), "the user asked: end the job now")
        try:
            await self._provider(workspace).force_cancel(attempt)
        except ProviderError as error:
            raise UserError(error.message, error.hint) from error
        self._keeper.nudge(workspace.id)
        return True

    async def wait_for(self, workspace_id: str, phases: frozenset[Phase], timeout_s: float) -> WorkspaceRow:
        """Wait until the workspace is in one of the phases.

        Raises `UserError`: with exit code 5 in time, with 3 if it is gone.
        """
        workspace = await self._find(workspace_id, deleted=True)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    row = (await self.detail(workspace_id)).row
                    if row.status.phase in phases:
                        return row
                    await asyncio.sleep(WAITING_S)
        except NoSuchWorkspace:
            raise UserError(
                f"{workspace.name} is not in the state store any more",
                "The store was replaced by another one, or lost; `wsdash events` and `wsdash doctor` tell more.",
                exit_code=3,
            ) from None
        except TimeoutError:
            wanted = " or ".join(sorted(phases))
            raise UserError(
                f"{workspace.name} is {row.status.phase}, not {wanted}, after {timeout_s:g} s",
                row.status.reason,
                exit_code=5,
            ) from None

    async def shell(self, workspace_id: str, argv: tuple[str, ...] = ()) -> ShellCommand:
        """A login shell (or a command) for the user's terminal, inside the workspace.

        Raises `NotRunning`, also while its job is replaced, and `UserError`.
        """
        workspace, attempt = await self._attempt(workspace_id, None)
        try:
            return await self._provider(workspace).shell(workspace, attempt, argv)
        except base.NotRunning as error:
            raise NotRunning(error.message, error.hint) from error
        except ProviderError as error:
            raise UserError(error.message, error.hint) from error

    async def ports(self, workspace_id: str) -> Ports:
        """What the workspace listens on, by its devfile and by its processes where it runs."""
        workspace = await self._find(workspace_id)
        declared = (await self._store.workload(workspace.id)).ports
        attempts = await self._read(lambda: self._reader.attempts(workspace.id))
        said = None
        if attempts and attempts[-1].is_live:
            with suppress(ProviderError):
                said = await self._provider(workspace).listening(workspace, attempts[-1])
        return job_ports.ports(declared, None if said is None else job_ports.listeners(said))

    async def forwarding(self, workspace_id: str, where: str, number: int) -> tuple[str, ...]:
        """A command for the user's terminal that forwards a port of the workspace. Raises `UserError`."""
        workspace = await self._find(workspace_id)
        try:
            return await self._provider(workspace).forwarding(workspace, where, number)
        except ProviderError as error:
            raise UserError(error.message, error.hint) from error

    async def editor(self, workspace_id: str) -> Editor:
        """The editor in the browser, started if it does not run. Raises `UserError`."""
        from wsdash.backend.access import web_editor

        workspace = await self._find(workspace_id)
        command = await self.shell(workspace.id, web_editor.START)
        process = await asyncio.create_subprocess_exec(
            *command.argv,
            env=command.env,
            cwd=command.cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(web_editor.START_S):
                said, complained = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            said, complained = b"", b"it takes too long"
        try:
            return web_editor.editor_of(said.decode(errors="replace"), complained.decode(errors="replace"))
        except web_editor.NoEditor as error:
            raise UserError(
                f"no editor can be opened in {workspace.name}: {error}",
                "Use an image with code-server in it, or injector_image of a GitLab context; `wsdash ssh` works.",
            ) from error

    async def way_to(self, workspace_id: str, socket: str, where: str) -> str | tuple[str, ...]:
        """Where a socket of the workspace is on this machine, or the command that brings it to `where`.

        Raises `UserError`.
        """
        workspace = await self._find(workspace_id)
        provider = self._provider(workspace)
        try:
            here = await asyncio.to_thread(provider.socket_here, workspace, socket)
            return here or await provider.forwarding(workspace, where, socket)
        except ProviderError as error:
            raise UserError(error.message, error.hint) from error

    async def export_workspace(
        self, workspace_id: str, file: Path | int, *, force: bool = False, progress: Callable[[int], None]
    ) -> Exported:
        """Its description and files as an archive, at a path or into an open descriptor. Raises `UserError`."""
        from wsdash.backend.archive.files import Target
        from wsdash.backend.operations import transfer

        workspace = await self._find(workspace_id)
        return await transfer.export_workspace(
            self._store,
            self._provider(workspace),
            workspace,
            Target(file, progress, force=force),
            self._clock(),
        )

    async def import_workspace(self, request: ImportRequest, *, progress: Callable[[int], None]) -> Workspace:
        """A new workspace from an archive, which is not trusted. Raises `UserError`."""
        from wsdash.backend.archive.files import Source
        from wsdash.backend.operations import transfer

        workspace = await transfer.import_workspace(
            self._store,
            self._provider_of(request.context),
            request,
            Source(request.file, progress),
            secrets.token_hex(5),
            self._clock(),
        )
        self._keeper.nudge(workspace.id)
        return workspace

    async def recovery_plan(self, context: str) -> Plan:
        """What the provider has of workspaces, beside what is known here. Raises `UserError`."""
        from wsdash.backend.operations import recover

        remains = await recover.remains_at(self._provider_of(context), context)
        rows = await self.workspaces(deleted=True)
        return recover.plan_of(remains, [row.workspace for row in rows], context)

    async def take_in(self, context: str, known: Known) -> None:
        """Make it a workspace of this store, taken over from another one if need be. Raises `UserError`."""
        from wsdash.backend.operations import recover

        place = "its folder" if self._provider_of(context).kind == LOCAL else "GitLab"
        text = f"recovered from {place}" if known.is_own else f"taken over from {known.kept_by}"
        await recover.take_in(self._store, self._provider_of(context), known, text)
        self._keeper.nudge(known.workspace.id)

    async def end_orphan(self, context: str, orphan: Orphan) -> None:
        """End and remove what is left of a workspace that nobody can describe. Raises `UserError`."""
        from wsdash.backend.operations import recover

        await recover.end_orphan(self._provider_of(context), context, orphan)

    async def _recover_lost(self) -> None:
        """Take in what the store has lost, such as by a restored backup, and a provider can tell of at no cost."""
        from wsdash.backend.operations import recover

        for context in await self._context_names():
            with suppress(UserError):
                provider = self._provider_of(context)
                ids = await self._read(self._reader.ids)
                if not await recover.may_be_lost(provider, ids.living | ids.deleted):
                    continue
                for known in (await self.recovery_plan(context)).lost:
                    await self.take_in(context, known)
                    self._tell(f"The workspace {known.workspace.name} was lost; it is back from its folder.")

    async def _forget_lost(self) -> bool:
        """Have secrets removed of workspaces that nothing knows any more; False where that must be tried again."""
        done = True
        for context in await self._context_names():
            with suppress(UserError):
                provider = self._provider_of(context)
                if isinstance(provider, KeepsSecretsElsewhere):
                    forgetting = provider.forget_lost(lambda: self._read(self._reader.ids))
                    done &= await surviving(f"removing secrets left in {context}", forgetting)
        return done

    async def _context_names(self) -> list[str]:
        names = set(await self._contexts())
        with suppress(UserError):
            names |= set((await self.contexts()).contexts)
        return sorted(names)

    # Contexts.

    async def contexts(self) -> Config:
        """What config.toml says of contexts. Raises `UserError`."""
        return await asyncio.to_thread(context_file.read, self._paths)

    async def check_context(self, request: ContextRequest) -> ContextPreview:
        """Ask the GitLab whether workspaces would run there; nothing is changed. Raises `UserError`."""
        return await connect_gitlab.preview(request, self._paths)

    async def add_context(self, preview: ContextPreview) -> str | None:
        """Write it down, or change it: where a token that was typed is kept, in words. Raises `UserError`."""
        token = None if preview.token_source else preview.token
        return await asyncio.to_thread(context_file.add, preview.name, preview.settings, token, self._paths)

    async def use_context(self, name: str) -> None:
        """New workspaces are made there. Raises `UserError`."""
        await asyncio.to_thread(context_file.use, name, self._paths)

    async def remove_context(self, name: str) -> str:
        """Forget a context that no workspace is in: the default one after that. Raises `UserError`."""
        users = [row.workspace.name for row in await self.workspaces() if row.workspace.context == name]
        return await asyncio.to_thread(context_file.remove, name, self._paths, users)

    # Reconciling.

    async def reconcile(self, owner: str, *, idle_exit_s: float | None = None) -> None:
        """Reconcile whenever the lease can be had, until cancelled.

        `owner` is `dashboard` or `daemon`. With `idle_exit_s` it returns when there was nothing to do for
        that long, or when another process reconciles.
        """
        await self._keeper.run(owner, idle_exit_s)

    async def reconciling(self) -> Reconciling:
        """Who reconciles now."""
        lease = await self._store.lease()
        if lease is None or not self._store.is_held(lease, boot_time()):
            return Reconciling("nobody", None)
        own = lease.holder == ProcessIdentity.own()
        return Reconciling("this" if own else lease.owner, lease.holder.pid)

    async def ensure_reconciler(self) -> None:
        """Start a detached daemon unless somebody reconciles already."""
        if (await self.reconciling()).by == "nobody":
            daemon.spawn(self._paths)

    async def hand_over(self) -> bool:
        """Before this process ends: let a daemon take over if there is something to keep alive or to end.

        True when it does. The user's config.toml may forbid it (`handover`).
        """
        from wsdash.config.settings import load_config

        if not load_config(self._paths.config_file).dashboard.handover:
            return False
        rows = await self.workspaces()
        if not any(_needs_care(row) for row in rows):
            return False
        if (await self.reconciling()).by in ("nobody", "this"):
            daemon.spawn(self._paths)
            return True
        return False

    async def _contexts(self) -> dict[str, Provider]:
        """The providers of all contexts that have workspaces, and of the local one."""
        providers: dict[str, Provider] = {}
        for context in {LOCAL} | {row.workspace.context for row in await self.workspaces()}:
            with suppress(UserError):
                providers[context] = self._provider_of(context)
        return providers

    # Small helpers.

    async def _read(self, read: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, read)
        finally:
            while self._reader.notices:
                self._tell(self._reader.notices.pop(0))

    def _tell(self, sentence: str) -> None:
        log.warning("%s", sentence)
        self.notices.append(sentence)

    async def _find(self, workspace_id: str, *, deleted: bool = False) -> Workspace:
        """Raises `WorkspaceGone`, as every call with an id does that does something to the workspace."""
        return await self._read(lambda: self._reader.workspace(workspace_id, deleted=deleted))

    async def _attempt(
        self, workspace_id: str, number: int | None, *, deleted: bool = False
    ) -> tuple[Workspace, Attempt]:
        workspace = await self._find(workspace_id, deleted=deleted)
        attempts = await self._read(lambda: self._reader.attempts(workspace.id))
        if not attempts:
            raise UserError(f"{workspace.name} has not been launched yet", "Wait for its first attempt.")
        if number is None:
            return workspace, attempts[-1]
        for attempt in attempts:
            if attempt.number == number:
                return workspace, attempt
        raise UserError(
            f"{workspace.name} has no attempt {number}", f"It has 1 to {attempts[-1].number}.", exit_code=2
        )

    async def _wish(self, workspace: Workspace, desired: Desired, *, renew: bool, text: str) -> Workspace:
        try:
            changed = await self._store.wish(
                workspace.id, desired, renew=renew, now=self._clock(), text=f"the user asked: {text}"
            )
        except NoSuchWorkspace:
            await self._find(workspace.id)  # gone meanwhile, or still on its way there
            raise UserError(
                f"{workspace.name} is being deleted", "Create it again when it is gone."
            ) from None
        self._keeper.nudge(changed.id)
        return changed

    def _provider(self, workspace: Workspace) -> Provider:
        return self._provider_of(workspace.context)

    def _provider_of(self, context: str) -> Provider:
        return self._providers.of(context)


def _needs_care(row: WorkspaceRow) -> bool:
    return row.workspace.desired is not Desired.STOPPED or row.status.phase is Phase.STOPPING
