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
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from wsdash.backend.archive.streams import ByteSink, ByteSource
from wsdash.backend.git.clone_address import Credential
from wsdash.backend.providers.types import (
    Capabilities,
    CheckoutQuery,
    Limitation,
    LogChunk,
    PackReport,
    PollIntervals,
    ProviderSnapshot,
    ShellCommand,
)
from wsdash.model import Attempt, JobObservation, UnsavedTotals, Workspace
from wsdash.workload import Workload


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
        """What ports.sh says in the running job; None where it cannot be asked. Untrusted."""

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
