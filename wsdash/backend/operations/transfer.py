"""Moves workspaces between contexts or machines: exports one to an archive, and imports one from it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from wsdash.backend.archive import ArchiveError, manifest, tar
from wsdash.backend.archive.files import ArchiveReader, ArchiveWriter
from wsdash.backend.archive.manifest import Manifest
from wsdash.backend.archive.streams import StreamFailed, in_thread
from wsdash.backend.clone_address import taken_out, without_secrets
from wsdash.backend.errors import UserError
from wsdash.backend.job.render import render
from wsdash.backend.operations.create import check_name, next_name
from wsdash.backend.operations.state import State
from wsdash.backend.providers.base import Provider
from wsdash.backend.providers.errors import NotSupported
from wsdash.backend.providers.features import Files, secret_store_of
from wsdash.backend.providers.types import PackReport
from wsdash.backend.store.store import NameTaken, Store
from wsdash.model import Desired, Workspace

Progress = Callable[[int], None]
"""Called in a thread with the number of bytes so far, before compression."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of an export. `size` is the archive's, in bytes."""

    workspace: Workspace
    size: int
    packed: PackReport


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """The user's request. `file` is a path or an open descriptor; `name` None uses the archive's name."""

    file: Path | int
    name: str | None = None
    context: str = "local"
    start: bool = False


async def export_workspace(
    store: Store, provider: Provider, workspace: Workspace, target: ArchiveWriter, now: float
) -> Exported:
    """Write the workspace to the target. Raises UserError, ProviderError."""
    if not isinstance(provider, Files):
        raise NotSupported(
            provider.kind,
            f"export the files of {workspace.name}",
            "Push its work to its repository, and create it again elsewhere.",
        )
    description = Manifest(
        format=manifest.FORMAT,
        id=workspace.id,
        name=workspace.name,
        context=workspace.context,
        source=workspace.source_url,
        ref=workspace.ref,
        devfile=workspace.devfile_path,
        exported_at=now,
        policy=workspace.policy,
        workload=await store.workload(workspace.id),
    )
    try:
        await in_thread(lambda: _begin(target, description), target)
        packed = await provider.pack(workspace, target)
        await _still_wanted(store, workspace)
        size = await in_thread(target.finish, target)
    except StreamFailed as failed:
        if isinstance(failed.error, BrokenPipeError):
            raise failed.error from None
        reason = (failed.error.strerror or str(failed.error)).lower()
        raise UserError(f"the archive cannot be written: {reason}", "Choose another path for it.") from failed
    finally:
        await asyncio.shield(asyncio.to_thread(target.release))
    return Exported(workspace, size, packed)


def _begin(target: ArchiveWriter, description: Manifest) -> None:
    target.open()
    data = manifest.dump(description)
    member = tar.Member(manifest.FILE, "file", 0o600, int(description.exported_at) * 10**9, len(data))
    target.write(tar.header(member) + data + tar.padding(len(data)))


async def _still_wanted(store: Store, workspace: Workspace) -> None:
    """Raise UserError if the workspace was deleted during the export: the archive may be incomplete."""
    now = await store.workspace(workspace.id)
    if now.desired is Desired.DELETED:
        raise UserError(f"{workspace.name} is being deleted", "The archive would be incomplete.")


async def import_workspace(
    store: Store, provider: Provider, request: ImportRequest, source: ArchiveReader, new_id: str, now: float
) -> Workspace:
    """Create a workspace from the archive. Raises UserError, ProviderError.

    The whole archive is read and checked before the workspace is committed, inside the provider's block:
    `providers/local/files/staging.py` says what a crash at each step leaves behind.
    """

    if not isinstance(provider, Files):
        raise NotSupported(provider.kind, "import files", "Choose another context: --context NAME.")

    async def known() -> set[str]:
        return {workspace.id for workspace in await store.workspaces()}

    try:
        description = await in_thread(lambda: _description(source), source)
        workspace = _workspace(description, request, new_id, now)
        await _check_free(store, workspace.name)
        async with provider.unpack(workspace, source, known):
            await in_thread(source.read_to_end, source)
            await _commit(store, workspace, description, request)
        # An earlier version wrote addresses as they were typed.
        workload, credentials = taken_out(description.workload)
        if credentials:
            await secret_store_of(provider).keep_credentials(workspace, workload, credentials)
    except ArchiveError as error:
        raise UserError(
            f"{_named(request.file)} is not imported: {error}", "No part of it was kept. Export it again."
        ) from error
    except StreamFailed as failed:
        reason = (failed.error.strerror or str(failed.error)).lower()
        raise UserError(
            f"{_named(request.file)} cannot be read: {reason}", "Check the path of the archive."
        ) from failed
    finally:
        await asyncio.shield(asyncio.to_thread(source.release))
    return workspace


def _description(source: ArchiveReader) -> Manifest:
    """Read the first member, which must be `workspace.json`; the source is then positioned before the second."""
    for member, content in tar.read_members(source):
        if (member.path.removeprefix("./"), member.kind) != (manifest.FILE, "file"):
            break
        if member.size > manifest.LARGEST:
            raise ArchiveError(f"{manifest.FILE} is larger than {manifest.LARGEST} bytes")
        data = b""
        while piece := content.read(manifest.LARGEST):
            data += piece
        content.skip()
        return manifest.parse(data)
    raise ArchiveError(f"it does not begin with {manifest.FILE}, so no workspace was exported to it")


def _workspace(description: Manifest, request: ImportRequest, new_id: str, now: float) -> Workspace:
    name = request.name or description.name
    check_name(name)
    try:
        render(description.workload)
    except ValueError as error:
        raise ArchiveError(f"its workload cannot be rendered as a job: {error}") from error
    return Workspace(
        id=new_id,
        name=name,
        context=request.context,
        source_url=description.source and without_secrets(description.source),
        ref=description.ref,
        devfile_path=description.devfile,
        desired=Desired.RUNNING if request.start else Desired.STOPPED,
        generation=1,
        policy=description.policy,
        created_at=now,
        desired_changed_at=now,
    )


async def _check_free(store: Store, name: str) -> None:
    taken = {workspace.name for workspace in await store.workspaces()}
    if name in taken:
        raise UserError(
            f"the workspace {name} already exists", f"Add --name {next_name(name, taken)}.", field="name"
        )


async def _commit(store: Store, workspace: Workspace, description: Manifest, request: ImportRequest) -> None:
    at = datetime.fromtimestamp(min(max(description.exported_at, 0), 2**33), UTC)
    text = (
        f"imported from {_named(request.file)}: {description.name} ({description.id}) of the context"
        f" {description.context}, exported {at:%Y-%m-%d %H:%M:%S} UTC"
    )
    evidence = {
        "file": None if isinstance(request.file, int) else str(request.file),
        "name": description.name,
        "id": description.id,
        "context": description.context,
        "exported_at": description.exported_at,
    }
    try:
        await store.create_workspace(workspace, description.workload, text, "imported", evidence)
    except NameTaken:
        await _check_free(store, workspace.name)
        raise UserError(
            f"{workspace.name} was created by another process meanwhile", "Import it again."
        ) from None


def _named(file: Path | int) -> str:
    return "standard input" if isinstance(file, int) else str(file)


class Transfer:
    """Exports and imports workspaces as archives."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def export_workspace(
        self, workspace_id: str, file: Path | int, *, force: bool = False, progress: Callable[[int], None]
    ) -> Exported:
        """Write its description and files as an archive, to a path or an open descriptor. Raises `WsdashError`."""
        workspace = await self._state.find(workspace_id)
        return await export_workspace(
            self._state.store,
            self._state.provider(workspace),
            workspace,
            ArchiveWriter(file, progress, force=force),
            self._state.clock(),
        )

    async def import_workspace(self, request: ImportRequest, *, progress: Callable[[int], None]) -> Workspace:
        """Create a workspace from an archive, which is not trusted. Raises `WsdashError`."""
        workspace = await import_workspace(
            self._state.store,
            self._state.provider_of(request.context),
            request,
            ArchiveReader(request.file, progress),
            secrets.token_hex(5),
            self._state.clock(),
        )
        self._state.nudge(workspace.id)
        return workspace
