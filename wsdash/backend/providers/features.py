"""Optional features of a provider beside `Provider`, each detected by `isinstance`.

The dashboard omits the parts whose feature is missing; a verb that needs a missing feature fails with
`NotSupported`, which names the provider and the remedy. Each docstring names the effect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from wsdash.backend.archive.streams import ByteSink, ByteSource
from wsdash.backend.clone_address import Credential
from wsdash.backend.providers.base import Provider
from wsdash.backend.providers.errors import NotSupported
from wsdash.backend.providers.types import (
    CheckoutQuery,
    Inventory,
    Limitation,
    Orphan,
    PackReport,
    ShellCommand,
)
from wsdash.backend.rules.leftovers import Ids
from wsdash.model import Attempt, UnsavedTotals, Workspace
from wsdash.workload import Workload

# --- the running job ------------------------------------------------------------------------------------


@runtime_checkable
class Shells(Protocol):
    """Its jobs can be entered. Without it: no shell, no command inside, no editor; open sessions are not counted."""

    async def shell(self, workspace: Workspace, attempt: Attempt, argv: tuple[str, ...]) -> ShellCommand:
        """A command for a terminal in the running workspace; no argv is the login shell.

        Raises `NotRunning` when the job does not run.
        """

    async def shells(self, workspace: Workspace, attempt: Attempt) -> bytes | None:
        """What job.sh says now of open sessions, a number; None where the job cannot be asked. Untrusted."""


@runtime_checkable
class Ports(Protocol):
    """It lists the ports that a job listens on. Without it: the ports of the devfile are listed."""

    async def listening(self, workspace: Workspace, attempt: Attempt) -> bytes | None:
        """What ports.sh says in the running job; None where it cannot be asked. Untrusted."""


@runtime_checkable
class Forwards(Protocol):
    """It brings ports and sockets of a job to this machine. Without it (and without `OnThisMachine`): no port."""

    async def forwarding(
        self, workspace: Workspace, attempt: Attempt, where: str, there: int | str
    ) -> tuple[str, ...]:
        """A command that makes a port or a socket of the workspace be at `where` here, an address or a path.

        Raises `NotRunning` when the job does not run, `PermanentError` where that cannot be.
        """


@runtime_checkable
class OnThisMachine(Protocol):
    """Its jobs run here: ports are at 127.0.0.1 themselves, files in a folder. Without it: no folder is shown."""

    def folder(self, workspace: Workspace) -> str:
        """Where the workspace's files are on this machine."""

    def socket_here(self, workspace: Workspace, path: str) -> str:
        """Where a socket in the job's temporary folder is on this machine.

        Raises `PermanentError` for what is no socket there: a job may name anything.
        """


@runtime_checkable
class Savable(Protocol):
    """Work that would be lost with a job can be saved. Without it: the work is as safe as its files are."""

    async def save(self, workspace: Workspace, attempt: Attempt) -> None:
        """Have the work in the attempt's job kept outside of it now, where it would not be otherwise.

        Raises `ProviderError` where that should be possible and is not. Nothing is done where it never is: then
        the work is as safe as the recovery point says.
        """


# --- the workspace's files ------------------------------------------------------------------------------


@runtime_checkable
class Files(Protocol):
    """It reads and writes a workspace's files as a whole. Without it: no export, and no import."""

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


@runtime_checkable
class CheckoutQueries(Protocol):
    """It asks a checkout safely. Without it: unsaved work is unknown, and not kept before a delete."""

    async def ask_checkout(self, workspace: Workspace, workload: Workload, question: CheckoutQuery) -> bytes:
        """What a program prints that knows PROJECTS_ROOT and HOME, run where it cannot harm this machine.

        Nothing where there is no way to ask; cut off where it is too much or takes too long. Nothing of the
        workspace's files is written.
        """


@runtime_checkable
class ReportsLeftWork(Protocol):
    """Its jobs report unsaved work as they end. Without it: only `CheckoutQueries` find it."""

    def left_behind(self, workspace: Workspace, attempts: Sequence[Attempt]) -> UnsavedTotals | None:
        """The unsaved work that the last job reported as it ended; None without a report. Blocks."""


# --- what a workload asks for ---------------------------------------------------------------------------


@runtime_checkable
class ChecksWorkload(Protocol):
    """It checks a workload against what its jobs support. Without it: a preview has no limitations."""

    async def limitations(self, workload: Workload) -> list[Limitation]:
        """What this workload asks for and will not get, as far as that can be known before it runs.

        Never raises: what cannot be found out is left out.
        """


@runtime_checkable
class ClonesByNetwork(Protocol):
    """Its jobs clone from elsewhere, so that a folder of this machine is named by where it is pushed to.

    Without it: a job clones a folder of this machine as it is.
    """

    async def git_environ(self) -> dict[str, str]:
        """What lets Git on this machine read what its jobs may clone; empty where it knows of nothing.

        Raises `PreconditionFailed`.
        """


@runtime_checkable
class SecretStore(Protocol):
    """It gives jobs secrets and credentials. Without it: a workspace that needs one is not made."""

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


def secret_store_of(provider: Provider) -> SecretStore:
    """The provider, where it keeps secrets. Raises `NotSupported`."""
    if not isinstance(provider, SecretStore):
        hint = "Use another context (`wsdash context list`), or do without: no --secret, no password in an address."
        raise NotSupported(provider.kind, "keep secrets for its jobs", hint)
    return provider


@runtime_checkable
class RemoteSecretStore(Protocol):
    """A provider that does not keep secrets on this machine. Without it: they go with the workspace's files."""

    async def forget_lost(self, ask_ids: Callable[[], Awaitable[Ids]]) -> None:
        """Remove secrets that this machine has kept for workspaces that neither the state store knows nor the provider.

        `ask_ids` is called after it was found out which have any, so that a create under way is known. Raises
        `Unreachable` or `PreconditionFailed`.
        """


# --- after a crash --------------------------------------------------------------------------------------


@runtime_checkable
class Adopts(Protocol):
    """A launch does more than making the job. Without it: a job that was found running needs nothing more."""

    async def adopted(self, workspace: Workspace, attempt: Attempt) -> None:
        """`observe` found the attempt's job, because the process that called `launch` died before the answer: do
        what `launch` does after creating the job. Raises as `launch` does.
        """


@runtime_checkable
class Recoverable(Protocol):
    """It finds its workspaces without the state store. Without it: `wsdash recover` finds nothing there."""

    described_by: str
    """What it reads that from, in words for "recovered from ..."."""

    async def may_have_others(self, known: Collection[str]) -> bool:
        """Whether there may be workspaces beside those of these ids. False where asking would cost requests.

        Raises `Unreachable`.
        """

    async def inventory(self, context: str) -> Inventory:
        """All of this user's workspaces. Raises `Unreachable` or `PreconditionFailed`."""

    async def take_over(self, workspace: Workspace, workload: Workload) -> None:
        """Make this state store its owner: another one that tries to launch it gets `OwnershipLost`."""

    async def end_orphan(self, orphan: Orphan) -> None:
        """End its jobs and remove what is left of it."""
