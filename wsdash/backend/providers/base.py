"""The Protocol that every provider of jobs follows.

The contract, which `tests/backend/providers/contract.py` holds every provider to:

- Every call names an attempt by its id, the idempotency key that the provider keeps. Calling twice is
  the same as calling once, also after a lost reply or from a second process.
- `observe` is one look at all jobs at a cost that does not grow with their number in requests. A job that
  a provider has no trace of is absent from the answer; not being able to look raises `Unreachable`.
- No call runs longer than its provider's stated limit, and none blocks the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from wsdash.backend.git.clone_address import Credential, redacted
from wsdash.model import Attempt, JobObservation, UnsavedTotals, Workspace
from wsdash.workload import Secret, Workload

if TYPE_CHECKING:  # the quick verbs know the errors of this module, and load no asyncio
    from contextlib import AbstractAsyncContextManager

    from wsdash.backend.archive.streams import ByteSink, ByteSource
    from wsdash.backend.system.leftovers import Ids


class ProviderError(Exception):
    """The provider refused: what happened, to what, and what to do about it."""

    retry_at: float | None = None
    """Before this instant asking again is useless, or forbidden; None where nothing is known of that."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = redacted(message)
        super().__init__(self.message)
        self.hint = redacted(hint)


class Unreachable(ProviderError):
    """The provider could not be asked, so nothing is known."""


class PermanentError(ProviderError):
    """What was asked is wrong in itself: trying again will not help."""


class NotRunning(PermanentError):
    """The workspace has no job that could be entered now. One that is wanted running gets another one."""


class OwnershipLost(PermanentError):
    """Another state store keeps this workspace alive now, and the provider knows it."""


class PreconditionFailed(ProviderError):
    """Nothing was done, and somebody must mend something first: a token, a role, a setting, a quota.

    It is asked again from time to time, so that all goes on by itself once it is mended.
    """


class InProgress(ProviderError):
    """It has been begun and takes its time: asked again it goes on, until it is done."""


@dataclass(frozen=True, slots=True)
class PollIntervals:
    """Seconds between two looks: while something changes, while jobs run, while nothing is to run."""

    busy_s: float
    steady_s: float
    idle_s: float


@dataclass(frozen=True, slots=True)
class ProviderSnapshot:
    """The answer to one `observe`: the provider's clock, and every job that it knows."""

    at: float
    jobs: tuple[JobObservation, ...]


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Bytes of a log from `offset` on. `size` is the log's length now; `ended` says it will not grow."""

    data: bytes
    offset: int
    size: int
    ended: bool


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """A process for the user's own terminal that stands inside the workspace: by ssh, where it stands `by_tunnel`."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str | None = None
    by_tunnel: bool = False

    def lost_connection(self, exit_code: int) -> bool:
        """Whether it ended since its connection did, as with its job: ssh says so by its exit code."""
        return self.by_tunnel and exit_code == 255


@dataclass(frozen=True, slots=True)
class CheckoutQuery:
    """A program of POSIX sh and its arguments, and how many bytes and seconds its answer may take.

    It is run with `argv`, and gets `program` as its standard input: less than 128 KiB.
    """

    program: bytes
    words: tuple[str, ...]
    most: int
    timeout_s: float

    @property
    def argv(self) -> tuple[str, ...]:
        """Takes the program from standard input, so that no length of a command line limits it."""
        return ("sh", "-c", 'p=$(cat) && exec sh -c "$p" sh "$@" </dev/null', "sh", *self.words)


@dataclass(frozen=True, slots=True)
class Sized:
    """Files that are counted, and take so many bytes, but hold nothing back."""

    files: int
    size: int


@dataclass(frozen=True, slots=True)
class UnsavedWork:
    """What only this workspace has, as lines for the user: ` M src/app.py`, `1a2b3c4 Fix the parser`.

    `files` are those outside of any Git repository; `untold` says what could not be looked into, so that there may
    be more. At most a hundred lines each are kept; a last line says how many more there are. Untrusted text.
    """

    uncommitted: tuple[str, ...] = ()
    unpushed: tuple[str, ...] = ()
    stashes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    totals: UnsavedTotals = field(default_factory=UnsavedTotals)
    ignored: Sized | None = None
    home: Sized | None = None
    """The home folder and volumes, which are no unsaved work."""

    def __bool__(self) -> bool:
        """Whether something would be lost, or might be."""
        lines = (self.uncommitted, self.unpushed, self.stashes, self.files, self.untold)
        return self.totals.holds or any(lines)


@dataclass(frozen=True, slots=True)
class PackReport:
    """What `pack` could not do as one would wish, as paths below the workspace's folder: untrusted text.

    `skipped` are sockets, devices and the like; `changed` are files that changed while they were read.
    """

    skipped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this provider offers here and now, in words for `doctor` and the dashboard.

    `isolation` is what jobs run in; `honours_image` says whether the devfile's image is used, and
    `starts_services` whether its other containers run beside the job; `notes` explain what is missing
    and what would bring it.
    """

    isolation: str
    honours_image: bool
    notes: tuple[str, ...] = ()
    starts_services: bool = False


@dataclass(frozen=True, slots=True)
class Limitation:
    """Something that a workload asks for and that its job will not get here, and what to do about it."""

    text: str
    hint: str = ""
    secret: Secret | None = None
    """The secret that nobody has given yet, where `keep_secrets` would take its value."""


@dataclass(frozen=True, slots=True)
class FoundWorkspace:
    """A workspace as the provider knows it. `desired` is what its jobs tell of it.

    `kept_by` names the machine that keeps it alive; `is_own` says that it is this state store.
    """

    workspace: Workspace
    workload: Workload
    attempts: tuple[Attempt, ...]
    kept_by: str
    is_own: bool

    @property
    def is_live(self) -> bool:
        """Whether a job of it may still run."""
        return any(attempt.is_live for attempt in self.attempts)


@dataclass(frozen=True, slots=True)
class Orphan:
    """What is left at the provider of a workspace that nobody can describe. `job_ids` may still run."""

    workspace_id: str
    reason: str
    job_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything of workspaces that a provider has. Of other users' there is only the number."""

    workspaces: tuple[FoundWorkspace, ...]
    orphans: tuple[Orphan, ...]
    others: int = 0


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


class Provider(Protocol):
    """Runs jobs. One instance serves one context."""

    kind: str
    poll_intervals: PollIntervals

    def check_secret(self, name: str, value: str) -> None:
        """Raises `PermanentError` for a value that cannot be kept, with what to do instead."""

    async def keep_secrets(self, workspace: Workspace, values: Mapping[str, str]) -> None:
        """Keep values of secrets by name, for jobs of this workspace alone, until it is destroyed.

        Raises what `check_secret` does, `PreconditionFailed` and `Unreachable`.
        """

    async def keep_credentials(
        self, workspace: Workspace, workload: Workload, credentials: Collection[Credential]
    ) -> None:
        """Keep what was taken out of its clone addresses for Git in its jobs, until it is destroyed.

        Raises `PermanentError` where there is no way to hand it to its jobs, `PreconditionFailed` and `Unreachable`.
        """

    def kept_credentials(self, workspace: Workspace) -> tuple[Credential, ...]:
        """What `keep_credentials` kept on this machine. Blocks."""

    async def launch(self, workspace: Workspace, attempt: Attempt, workload: Workload) -> JobObservation:
        """Start the attempt's job, or find the one that this attempt already has.

        Raises `Unreachable` when it is not known whether a job was made, `PreconditionFailed` when none was and
        something must be mended first, `PermanentError` when none ever will be.
        """

    async def adopted(self, workspace: Workspace, attempt: Attempt) -> None:
        """The attempt's job was found by `observe`, for whoever called `launch` died before it had the answer: do what
        `launch` does beside making the job. Raises as `launch` does.
        """

    async def observe(self) -> ProviderSnapshot:
        """Every job that this provider knows of in this context. Raises `Unreachable` or `PreconditionFailed`."""

    def changes(self) -> AsyncIterator[frozenset[str]]:
        """Ids of attempts that have just changed: a hint to look sooner, never the only witness."""

    async def cancel(self, attempt: Attempt, grace_s: float) -> None:
        """Ask the job to end by itself: preStop, then the end, at most `grace_s` later.

        An attempt without a job is marked so that a launch still on its way ends at once.
        """

    async def save(self, workspace: Workspace, attempt: Attempt) -> None:
        """Have the work in the attempt's job kept outside of it now, where it would not be otherwise.

        Raises `ProviderError` where that should be possible and is not. Nothing is done where it never is: then
        the work is as safe as the recovery point says.
        """

    async def force_cancel(self, attempt: Attempt) -> None:
        """End the job and everything it started, now. When this returns nothing of it runs."""

    async def destroy(self, workspace: Workspace) -> str | None:
        """Remove everything that only this workspace owned: folder, volumes, logs, jobs' records.

        What stays all the same and must be removed by hand, in words. Raises `InProgress` while a job does it.
        """

    async def read_log(self, attempt: Attempt, offset: int, limit: int) -> LogChunk:
        """Up to `limit` bytes of the attempt's log. An offset past the end gives an empty chunk."""

    async def shell(self, workspace: Workspace, attempt: Attempt, argv: tuple[str, ...]) -> ShellCommand:
        """A command for a terminal in the running workspace; no argv is the login shell.

        Raises `NotRunning` when the job does not run.
        """

    async def listening(self, workspace: Workspace, attempt: Attempt) -> bytes | None:
        """What listening.sh says in the running job; None where it cannot be asked. Untrusted."""

    async def shells(self, workspace: Workspace, attempt: Attempt) -> bytes | None:
        """What job.sh says now of open sessions, a number; None where the job cannot be asked. Untrusted."""

    async def forwarding(self, workspace: Workspace, where: str, there: int | str) -> tuple[str, ...]:
        """A command that makes a port or a socket of the workspace be at `where` here, an address or a path.

        Raises `PermanentError` where that needs no command, or cannot be.
        """

    def socket_here(self, workspace: Workspace, path: str) -> str | None:
        """Where a socket in the job's temporary folder is on this machine; None where it must be forwarded.

        Raises `PermanentError` for what is no socket there: a job may name anything.
        """

    async def ask_checkout(self, workspace: Workspace, workload: Workload, question: CheckoutQuery) -> bytes:
        """What a program prints that knows PROJECTS_ROOT and HOME, run where it cannot harm this machine.

        Nothing where there is no way to ask; cut off where it is too much or takes too long. Nothing of the
        workspace's files is written.
        """

    def left_behind(self, workspace: Workspace, attempts: Sequence[Attempt]) -> UnsavedTotals | None:
        """What only the workspace has since its last job has ended, by what that job said as it ended. Blocks.

        None where it said nothing, and where files that stay can be asked themselves (`ask_checkout`).
        """

    async def pack(self, workspace: Workspace, sink: ByteSink) -> PackReport:
        """Write the workspace's files as a tar: `projects/`, `home/`, `volumes/NAME/`; nothing of `tmp/`.

        The workspace may run meanwhile. A workspace without files gives an empty tar. Raises PermanentError for
        a file that cannot be read. Cancelled, it closes the sink and uses it no more.
        """

    def unpack(
        self, workspace: Workspace, source: ByteSource, known: Callable[[], Awaitable[Collection[str]]]
    ) -> AbstractAsyncContextManager[None]:
        """The files of a tar, which is not trusted, as those of a workspace that has none yet.

        In the block they are all there; the caller commits the workspace in it. A block that raises
        removes them again. What a process that died on the way has left is removed by the next call,
        unless `known`, the ids of the workspaces that there are, has its workspace.

        Raises ArchiveError for a tar that is not sound, PermanentError when the workspace has files already,
        ProviderError when there is no room. Cancelled, it closes the source and uses it no more.
        """

    async def capabilities(self) -> Capabilities:
        """What jobs get here, found out by trying it."""

    async def limitations(self, workload: Workload) -> list[Limitation]:
        """What this workload asks for and will not get, as far as that can be known before it runs.

        Never raises: what cannot be found out is left out.
        """

    def folder(self, workspace: Workspace) -> str | None:
        """Where the workspace's files are on this machine, None if they are elsewhere."""

    async def aclose(self) -> None:
        """Let go of watches and helpers. Jobs go on."""
