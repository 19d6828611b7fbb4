"""Optional features of a provider in addition to `Provider`, each detected by `isinstance`.

The dashboard omits the parts whose feature is missing; a command that needs a missing feature fails with
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

    async def shell(
        self, workspace: Workspace, attempt: Attempt, argv: tuple[str, ...], *, needs_terminal: bool = False
    ) -> ShellCommand:
        """Return a command for a terminal in the running workspace; an empty argv is the login shell.

        With `needs_terminal` the argv gets a terminal too, as the login shell does.

        Raises `NotRunning` when the job does not run.
        """

    async def shells(self, workspace: Workspace, attempt: Attempt) -> bytes | None:
        """Return job.sh's number of open sessions; None if the job cannot be queried. Untrusted."""


@runtime_checkable
class Ports(Protocol):
    """It lists the ports that a job listens on. Without it: the ports of the devfile are listed."""

    async def listening(self, workspace: Workspace, attempt: Attempt) -> bytes | None:
        """Return the output of ports.sh in the running job; None if it cannot be queried. Untrusted."""


@runtime_checkable
class Forwards(Protocol):
    """It forwards ports and sockets of a job to this machine. Without it (and without `OnThisMachine`): no forwards."""

    async def forwarding(
        self, workspace: Workspace, attempt: Attempt, where: str, there: int | str
    ) -> tuple[str, ...]:
        """Return a command that forwards a port or a socket of the workspace to `where`, a local address or path.

        Raises `NotRunning` if the job does not run, `PermanentError` if forwarding is impossible.
        """


@runtime_checkable
class OnThisMachine(Protocol):
    """Its jobs run here: ports are at 127.0.0.1 directly, files in a folder. Without it: no folder is shown."""

    def folder(self, workspace: Workspace) -> str:
        """Return the folder of the workspace's files on this machine."""

    def socket_here(self, workspace: Workspace, path: str) -> str:
        """Return the path on this machine of a socket in the job's temporary folder.

        Raises `PermanentError` if it is not a socket: a job may name any path.
        """


@runtime_checkable
class Savable(Protocol):
    """It saves work that would be lost with a job. Without it: the work is as safe as its files are."""

    async def save(self, workspace: Workspace, attempt: Attempt) -> None:
        """Save work that would otherwise be lost with the attempt's job.

        Raises `ProviderError` if saving is possible and fails. Does nothing if the job never can: then the work is
        as safe as the recovery point says.
        """


# --- the workspace's files ------------------------------------------------------------------------------


@runtime_checkable
class Files(Protocol):
    """It reads and writes a workspace's files as a whole. Without it: no export, and no import."""

    async def pack(self, workspace: Workspace, sink: ByteSink) -> PackReport:
        """Write the workspace's files as a tar: `projects/`, `home/`, `volumes/NAME/`; nothing of `tmp/`.

        The workspace may run meanwhile. A workspace without files gives an empty tar. Raises PermanentError for
        a file that cannot be read. When cancelled, it closes the sink.
        """

    def unpack(
        self, workspace: Workspace, source: ByteSource, known: Callable[[], Awaitable[Collection[str]]]
    ) -> AbstractAsyncContextManager[None]:
        """Unpack an untrusted tar as the files of a workspace that has none yet.

        Inside the block all files exist, and the caller commits the workspace. A block that raises removes them
        again. Files of a process that died meanwhile are removed by the next call, unless `known`, the ids of the
        existing workspaces, has their workspace.

        Raises ArchiveError for an invalid tar, PermanentError if the workspace already has files,
        ProviderError if the disk is full. When cancelled, it closes the source.
        """


@runtime_checkable
class CheckoutQueries(Protocol):
    """It runs queries on a checkout safely. Without it: unsaved work is unknown, and not saved before a delete."""

    async def ask_checkout(self, workspace: Workspace, workload: Workload, question: CheckoutQuery) -> bytes:
        """Run a program on the workspace's files, with PROJECTS_ROOT and HOME, in isolation; return its output.

        The output is empty if the files are not accessible, and truncated if it is too long or the time is up. The
        program cannot write to the workspace's files.
        """


@runtime_checkable
class ReportsLeftWork(Protocol):
    """Its jobs report unsaved work as they end. Without it: only `CheckoutQueries` find it."""

    def left_behind(self, workspace: Workspace, attempts: Sequence[Attempt]) -> UnsavedTotals | None:
        """Return the unsaved work that the last job reported as it ended; None without a report. Blocks."""


# --- workloads ---------------------------------------------------------------------------


@runtime_checkable
class ChecksWorkload(Protocol):
    """It checks a workload against what its jobs support. Without it: a preview has no limitations."""

    async def limitations(self, workload: Workload) -> list[Limitation]:
        """Return the requests of this workload that its jobs cannot fulfil, as far as is known before it runs.

        Never raises: what cannot be determined is left out.
        """


@runtime_checkable
class ClonesByNetwork(Protocol):
    """Its jobs clone over the network, so a local folder is replaced by the address that it is pushed to.

    Without it: a job clones a local folder directly.
    """

    async def git_environ(self) -> dict[str, str]:
        """Return variables with which Git on this machine can read what its jobs may clone; empty if unknown.

        Raises `PreconditionFailed`.
        """


@runtime_checkable
class SecretStore(Protocol):
    """It gives jobs secrets and credentials. Without it: a workspace that needs one is not created."""

    def check_secret(self, name: str, value: str) -> None:
        """Check that a value can be stored. Raises `PermanentError`, with an alternative as hint."""

    async def keep_secrets(self, workspace: Workspace, values: Mapping[str, str]) -> None:
        """Store values of secrets by name, for jobs of this workspace only, until it is destroyed.

        Raises what `check_secret` does, `PreconditionFailed` and `Unreachable`.
        """

    async def keep_credentials(
        self, workspace: Workspace, workload: Workload, credentials: Collection[Credential]
    ) -> None:
        """Store the credentials of its clone addresses for Git in its jobs, until it is destroyed.

        Raises `PermanentError` if they cannot be passed to its jobs, `PreconditionFailed` and `Unreachable`.
        """

    def kept_credentials(self, workspace: Workspace) -> tuple[Credential, ...]:
        """Return the credentials that `keep_credentials` stored on this machine. Blocks."""


def secret_store_of(provider: Provider) -> SecretStore:
    """Return the provider as one that stores secrets. Raises `NotSupported`."""
    if not isinstance(provider, SecretStore):
        hint = "Use another context (`wsdash context list`), or omit --secret and passwords in addresses."
        raise NotSupported(provider.kind, "store secrets for its jobs", hint)
    return provider


@runtime_checkable
class RemoteSecretStore(Protocol):
    """A provider that stores secrets outside this machine. Without it: they are removed with the workspace's files."""

    async def forget_lost(self, ask_ids: Callable[[], Awaitable[Ids]]) -> None:
        """Remove secrets, stored by this machine, of workspaces that neither the state store nor the provider knows.

        `ask_ids` is called after the secrets were listed, so that a workspace being created is known. Raises
        `Unreachable` or `PreconditionFailed`.
        """


# --- after a crash --------------------------------------------------------------------------------------


@runtime_checkable
class Adopts(Protocol):
    """Its launch does more than creating the job. Without it: a job that was found running needs nothing more."""

    async def adopted(self, workspace: Workspace, attempt: Attempt) -> None:
        """Complete the launch of a job that `observe` found because the process that called `launch` died: do
        what `launch` does after creating the job. Raises as `launch` does.
        """


@runtime_checkable
class Recoverable(Protocol):
    """It finds its workspaces without the state store. Without it: `wsdash recover` finds no workspaces there."""

    described_by: str
    """The source of that data, in words for "recovered from ..."."""

    async def may_have_others(self, known: Collection[str]) -> bool:
        """Return whether workspaces other than these may exist; False if finding out would cost requests.

        Raises `Unreachable`.
        """

    async def inventory(self, context: str) -> Inventory:
        """Return all of this user's workspaces. Raises `Unreachable` or `PreconditionFailed`."""

    async def take_over(self, workspace: Workspace, workload: Workload) -> None:
        """Make this state store its owner: another one that tries to launch it gets `OwnershipLost`."""

    async def end_orphan(self, orphan: Orphan) -> None:
        """End its jobs and remove its leftovers."""
