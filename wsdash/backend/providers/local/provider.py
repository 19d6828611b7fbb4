"""The local provider: implements `base.py` with this machine's processes. Every blocking call runs in a thread."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from wsdash.backend.access.leftovers import forget
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.archive.streams import ByteSink, ByteSource, in_thread
from wsdash.backend.clone_address import Credential
from wsdash.backend.git.credential_files import KeptCredentials
from wsdash.backend.job import ports, shells
from wsdash.backend.job.render import render_secrets
from wsdash.backend.providers.base import Provider
from wsdash.backend.providers.errors import NotRunning, PermanentError, ProviderError, Unreachable
from wsdash.backend.providers.features import (
    CheckoutQueries,
    ChecksWorkload,
    Files,
    OnThisMachine,
    Ports,
    Recoverable,
    SecretStore,
    Shells,
)
from wsdash.backend.providers.local import destroy as local_destroy
from wsdash.backend.providers.local import job_spec, recovery
from wsdash.backend.providers.local.files import pack as files_pack
from wsdash.backend.providers.local.files import staging
from wsdash.backend.providers.local.files import unpack as files_unpack
from wsdash.backend.providers.local.launcher import Launcher, as_provider_error, space_hint
from wsdash.backend.providers.local.layout import Layout, checked_id
from wsdash.backend.providers.local.observer import Observer, can_be_entered, read_log
from wsdash.backend.providers.local.sandbox import detect, git_query
from wsdash.backend.providers.local.sandbox import isolation as isolations
from wsdash.backend.providers.local.sandbox.isolation import Entry, Host, Isolation, JobPaths
from wsdash.backend.providers.local.supervisor.marks import Mark
from wsdash.backend.providers.local.supervisor.spawn import python_argv, start_supervisor
from wsdash.backend.providers.local.terminate import Ender
from wsdash.backend.providers.local.watch import Watch
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
from wsdash.backend.system.files import json_files
from wsdash.model import Attempt, JobObservation, JobState, Workspace
from wsdash.workload import Workload

_TERMINAL = re.compile(r"TERM|COLORTERM|LANG|LC_[A-Z]+")
"""Variables of the user's terminal that a session gets."""


class LocalProvider(
    Provider, Shells, Ports, OnThisMachine, Files, CheckoutQueries, ChecksWorkload, SecretStore, Recoverable
):
    """Runs jobs on this machine, each under its own supervisor, with all files below `root`.

    `isolation` None means the best that works here, tested once after each boot. `environ` is the user's
    environment, with which the source is fetched and of which jobs get few variables. `settings` are variables
    of `job.sh` (`WSDASH_BEAT_S`, `WSDASH_DEADLINE`). `access` has the files of the workspaces' SSH servers,
    which are removed with a workspace.
    """

    kind = "local"
    described_by = "its folder"
    poll_intervals = PollIntervals(busy_s=1.0, steady_s=15.0, idle_s=15.0)

    def __init__(
        self,
        root: Path,
        *,
        clock: Callable[[], float] = time.time,
        isolation: Isolation | None = None,
        environ: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        access: AccessFolder | None = None,
    ) -> None:
        self._layout = Layout(root.absolute())
        self._clock = clock
        self._environ = dict(os.environ if environ is None else environ)
        self._access = access
        self._credentials = KeptCredentials(self._layout.credentials)
        self._launcher = Launcher(
            self._layout,
            self._credentials,
            clock=clock,
            isolation=isolation,
            environ=self._environ,
            settings=dict(settings or {}),
        )
        self._observer = Observer(self._layout)
        self._observing = threading.Lock()
        self._ender = Ender(clock, self._layout.listeners)
        self._watches: set[Watch] = set()

    # --- jobs -----------------------------------------------------------------------------------

    def check_secret(self, name: str, value: str) -> None:
        """Raise `PermanentError` for a name or value that no shell variable can have."""
        try:
            render_secrets({name: value})
        except ValueError as error:
            raise PermanentError(str(error)) from error

    async def keep_secrets(self, workspace: Workspace, values: Mapping[str, str]) -> None:
        """Store secrets in a private file; each job of the workspace gets a copy."""
        for name, value in values.items():
            self.check_secret(name, value)
        text = render_secrets(values)
        await asyncio.to_thread(self._guarded, lambda: self._keep_secrets(workspace, text))

    async def keep_credentials(
        self, workspace: Workspace, workload: Workload, credentials: Collection[Credential]
    ) -> None:
        """Store credentials in a private file, as secrets are."""
        await asyncio.to_thread(
            self._guarded, lambda: self._credentials.keep(checked_id(workspace.id), credentials)
        )

    def kept_credentials(self, workspace: Workspace) -> tuple[Credential, ...]:
        """Return the credentials that are stored for the workspace's jobs. Blocks."""
        return self._credentials.of(checked_id(workspace.id))

    async def launch(self, workspace: Workspace, attempt: Attempt, workload: Workload) -> JobObservation:
        """Start the attempt's job, or find the one that this attempt already has.

        Raises PermanentError for an impossible workload or isolation, ProviderError for a full disk or a similar
        error, Unreachable if the supervisor does not answer.
        """
        return await asyncio.to_thread(self._launch, workspace, attempt, workload)

    async def observe(self) -> ProviderSnapshot:
        """Return every job of this root. Raises Unreachable if its folder cannot be read."""
        return ProviderSnapshot(self._clock(), await asyncio.to_thread(self._look))

    async def changes(self) -> AsyncIterator[frozenset[str]]:
        """Yield ids of attempts that have just changed, until `aclose`."""
        watch = Watch(self._layout)
        self._watches.add(watch)
        try:
            async for attempt_ids in watch.changes():
                yield attempt_ids
        except OSError as error:
            raise Unreachable(f"cannot listen in {self._layout.listeners}: {error.strerror}") from error
        finally:
            self._watches.discard(watch)

    async def cancel(self, attempt: Attempt, grace_s: float) -> None:
        """Ask the job to end by itself within `grace_s` seconds."""
        files, owner = self._launcher.files(attempt), job_spec.owner(attempt)
        await asyncio.to_thread(self._guarded, lambda: self._ender.cancel(files, owner, grace_s))

    async def force_cancel(self, attempt: Attempt) -> None:
        """End the job and every process that it started, now. Raises ProviderError if one cannot be ended."""
        files, owner = self._launcher.files(attempt), job_spec.owner(attempt)
        await asyncio.to_thread(self._guarded, lambda: self._ender.force_cancel(files, owner))

    async def destroy(self, workspace: Workspace) -> str | None:
        """Remove the workspace's folder and the records of its jobs, ending those that run."""
        await asyncio.to_thread(self._guarded, lambda: self._destroy(workspace.id, workspace.name))
        return None

    # --- recovery --------------------------------------------------------------

    async def may_have_others(self, known: Collection[str]) -> bool:
        """Return whether other workspaces than these have a folder here. Raises Unreachable."""
        try:
            return not await asyncio.to_thread(recovery.workspace_ids, self._layout) <= set(known)
        except OSError as error:
            raise Unreachable(f"cannot read {self._layout.root}: {error.strerror}") from error

    async def inventory(self, context: str) -> Inventory:
        """Return all workspaces of this root. Raises Unreachable."""
        jobs = {job.attempt_id: job for job in (await self.observe()).jobs}
        host, now = socket.gethostname(), self._clock()
        try:
            return await asyncio.to_thread(recovery.inventory, self._layout, jobs, context, host, now)
        except OSError as error:
            raise Unreachable(f"cannot read {self._layout.root}: {error.strerror}") from error

    async def take_over(self, workspace: Workspace, workload: Workload) -> None:
        """Do nothing: only the state store of this root launches its workspaces."""

    async def end_orphan(self, orphan: Orphan) -> None:
        """End its jobs and remove its folder. Raises ProviderError if one cannot be ended or removed."""
        await asyncio.to_thread(self._guarded, lambda: self._destroy(orphan.workspace_id, ""))

    # --- inside a job -------------------------------------------------------------------------

    async def read_log(self, attempt: Attempt, offset: int, limit: int) -> LogChunk:
        """Return up to `limit` bytes of the attempt's log from `offset` on."""
        return await asyncio.to_thread(read_log, self._launcher.files(attempt), max(0, offset), max(0, limit))

    async def shell(
        self, workspace: Workspace, attempt: Attempt, argv: tuple[str, ...], *, needs_terminal: bool = False
    ) -> ShellCommand:
        """Return a command for the user's terminal in the job's sandbox or container. Raises PermanentError."""
        return await asyncio.to_thread(self._inside, workspace, attempt, "enter", argv)

    async def listening(self, workspace: Workspace, attempt: Attempt) -> bytes | None:
        """Return the output of ports.sh in the running job; None where it cannot be asked. Untrusted."""
        return await self._ask_job(workspace, attempt, "listening", ports.MOST_BYTES, ports.TIMEOUT_S)

    async def shells(self, workspace: Workspace, attempt: Attempt) -> bytes | None:
        """Return the job's number of open sessions as text; None where it cannot be asked. Untrusted."""
        return await self._ask_job(workspace, attempt, "shells", shells.MOST_BYTES, shells.TIMEOUT_S)

    async def _ask_job(
        self, workspace: Workspace, attempt: Attempt, entry: Entry, most: int, timeout_s: float
    ) -> bytes | None:
        try:
            command = await asyncio.to_thread(self._inside, workspace, attempt, entry, ())
        except PermanentError:
            return None
        return await git_query.answer(command.argv, command.env, most, timeout_s)

    def socket_here(self, workspace: Workspace, path: str) -> str:
        """Return a socket's path on this machine. A job sees its temporary folder as `/tmp` or by its own path.

        Links out of it are not followed.
        """
        own = self._launcher.workspace(workspace).resolve() / "tmp"
        found = Path(path)
        if not found.is_relative_to(own) and found.is_relative_to("/tmp"):
            found = own / found.relative_to("/tmp")
        if not (found.is_relative_to(own) and found.resolve() == found and found.is_socket()):
            raise PermanentError(f"there is no socket {path} of {workspace.name}")
        return str(found)

    async def ask_checkout(self, workspace: Workspace, workload: Workload, question: CheckoutQuery) -> bytes:
        """Run the program in a sandbox; return nothing if only a container engine works and no image is named."""
        isolation, job_paths, host = await asyncio.to_thread(self._inspection, workspace)
        return await git_query.ask(isolation, job_paths, host, workload, self._environ, question)

    async def pack(self, workspace: Workspace, sink: ByteSink) -> PackReport:
        """Write `projects/`, `home/` and `volumes/` as a tar. Raises PermanentError for a file that cannot be read."""
        folder = self._launcher.workspace(workspace)
        try:
            return await in_thread(lambda: files_pack.pack(folder, sink), sink)
        except OSError as error:
            raise as_provider_error(error) from error

    @asynccontextmanager
    async def unpack(
        self, workspace: Workspace, source: ByteSource, known: Callable[[], Awaitable[Collection[str]]]
    ) -> AsyncIterator[None]:
        """Unpack an untrusted tar; the files exist during the block. `files/staging.py` explains the order of steps."""
        self._launcher.workspace(workspace)
        try:
            async with staging.coming_in(self._layout, workspace.id, known) as folder:
                await in_thread(lambda: files_unpack.unpack(folder, source), source)
                await in_thread(lambda: staging.put_in_place(self._layout, workspace.id))
                yield
        except OSError as error:
            raise as_provider_error(error) from error

    async def capabilities(self, *, again: bool = False) -> Capabilities:
        """Return what jobs support; `again` repeats the tests. Raises PermanentError for a bad `WSDASH_ISOLATION`."""
        found = await asyncio.to_thread(self._launcher.found, again)
        return Capabilities(found.best.kind, found.best.is_container, found.notes)

    async def limitations(self, workload: Workload) -> list[Limitation]:
        """Return the limitations of a job, which runs as the user and gets no variables but those of its workload."""
        found = [
            Limitation(
                f"the secret {secret.name} has no value on this machine",
                "wsdash asks for it, and stores it for this workspace in a file that only you can read.",
                secret,
            )
            for secret in workload.secrets
        ]
        if workload.user is not None:
            found.append(
                Limitation(
                    f"the job runs as you, not as {workload.user}", "This needs no action in most cases."
                )
            )
        return found

    def folder(self, workspace: Workspace) -> str:
        """The workspace's folder: `projects/`, `home/`, `volumes/`."""
        return str(self._launcher.workspace(workspace))

    async def aclose(self) -> None:
        """Stop the watches. Jobs continue."""
        for watch in self._watches:
            watch.close()

    # --- blocking -------------------------------------------------------------------------------

    def _launch(self, workspace: Workspace, attempt: Attempt, workload: Workload) -> JobObservation:
        files = self._launcher.files(attempt)
        self._guarded(lambda: self._launcher.prepare(files, workspace, attempt, workload))
        try:
            answer = start_supervisor(files, self._layout.listeners, self._environ)
        except OSError as error:
            raise Unreachable(f"the job of {workspace.name} may not have been started: {error}") from error
        if answer.startswith("failed"):
            raise ProviderError(
                f"the job of {workspace.name} could not be started: {answer}", space_hint(answer)
            )
        with self._observing:
            job = self._observer.look_at(attempt.id)
        if job is None:
            raise Unreachable(f"the job of {workspace.name} has not answered yet")
        return job

    def _keep_secrets(self, workspace: Workspace, text: str) -> None:
        file = self._layout.secrets_of(workspace.id)
        file.touch(mode=0o600)
        file.write_text(text)

    def _look(self) -> tuple[JobObservation, ...]:
        try:
            with self._observing:
                return self._observer.look()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise Unreachable(f"cannot read {self._layout.jobs}: {error.strerror}") from error

    def _destroy(self, workspace_id: str, name: str) -> None:
        try:
            self._layout.workspace(workspace_id)  # checks that it is an id and not a path
        except ValueError as error:
            raise PermanentError(str(error)) from error
        local_destroy.destroy(self._layout, self._ender, workspace_id, self._empty_by_container)
        if self._access is not None:
            forget(self._access, workspace_id, name)

    def _empty_by_container(self, folder: Path, image: str) -> None:
        best = self._launcher.found(again=False).best
        if best.is_container:
            detect.run(list(isolations.purge_argv(best, folder, image)), self._environ)

    def _inside(
        self, workspace: Workspace, attempt: Attempt, entry: Entry, argv: tuple[str, ...]
    ) -> ShellCommand:
        files = self._launcher.files(attempt)
        with self._observing:
            job = self._observer.look_at(attempt.id)
        if job is None or not can_be_entered(job, files):
            state = "has no job" if job is None else f"is {job.state}"
            if job is not None and job.state is JobState.RUNNING:
                state = "has a job that is starting or ending"
            raise NotRunning(
                f"{workspace.name} {state}, so it cannot be entered", "Start it, or wait until it runs."
            )
        spec = json_files.read(files.spec) or {}
        given = spec.get("env")
        env = {str(k): str(v) for k, v in given.items()} if isinstance(given, dict) else {}
        shown = {name: value for name, value in self._environ.items() if _TERMINAL.fullmatch(name)}
        isolation = self._launcher.isolation_of(str(spec.get("isolation")))
        job_paths = self._launcher.job_paths(workspace, attempt.id)
        terminal = entry == "enter" and (not argv or (sys.stdin is not None and sys.stdin.isatty()))
        command = isolations.enter_argv(isolation, job_paths, entry, argv, terminal=terminal, env=shown)
        if isolation.is_container:
            return ShellCommand(command, self._environ)
        if isolation.kind == "bubblewrap":
            command = tuple(python_argv("sandbox.enter", str(files.sandbox), *command))
        elif (number := Mark.of(files).number) is not None:
            command = tuple(python_argv("supervisor.marks", str(number), *command))
        return ShellCommand(command, {**env, **shown}, cwd="/")

    def _inspection(self, workspace: Workspace) -> tuple[Isolation, JobPaths, Host]:
        """Return the sandbox in which its files are inspected."""
        found = self._launcher.found(again=False)
        # The machine's own git, if it can be sandboxed, does not depend on the image.
        isolation = found.imageless if found.imageless.kind == "bubblewrap" else found.best
        job_paths = self._launcher.job_paths(workspace, "inspection")
        return isolation, job_paths, detect.read_host(self._environ)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            self._layout.make()
            act()
        except OSError as error:
            raise as_provider_error(error) from error
