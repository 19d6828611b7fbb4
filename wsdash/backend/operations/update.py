"""Updates a workspace: from the job that it runs to the job that its devfile now describes."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace

from wsdash.backend.clone_address import Credential
from wsdash.backend.git.hide_secrets import SecretHider
from wsdash.backend.job.render import render
from wsdash.backend.operations.create import CreateRequest, Creation, Preview
from wsdash.backend.operations.lifecycle import Lifecycle
from wsdash.backend.operations.state import State
from wsdash.backend.providers.features import SecretStore, secret_store_of
from wsdash.model import Desired, Workspace
from wsdash.workload import Workload


@dataclass(frozen=True, slots=True)
class Update:
    """`changes` are the lines of a unified diff of its job; none where nothing is new. Untrusted text."""

    workspace_id: str
    preview: Preview
    changes: tuple[str, ...]


def differences(present: Workload, wanted: Workload) -> tuple[str, ...]:
    """How the two jobs differ, as lines of a unified diff; none where they are the same."""
    if present == wanted:
        return ()
    before, after = (
        render(SecretHider().of_workload(workload)).splitlines() for workload in (present, wanted)
    )
    lines = [
        *difflib.unified_diff(before, after, "what its job runs", "what its devfile says now", lineterm="")
    ]
    if present.image != wanted.image:
        lines += [f"-image {present.image or 'none'}", f"+image {wanted.image or 'none'}"]
    return tuple(lines) or ("@ what surrounds the job: ports, services, limits or the like @",)


class Updates:
    """Has workspaces run what their devfiles say now."""

    def __init__(self, state: State, creation: Creation, lifecycle: Lifecycle) -> None:
        self._state = state
        self._creation = creation
        self._lifecycle = lifecycle

    async def preview_update(
        self, workspace_id: str, choices: CreateRequest, progress: Callable[[str], None] = lambda _: None
    ) -> Update:
        """What its source makes of a workspace now, where it was made from. Raises `WsdashError`.

        Of `choices` count the component, the image and the secrets, which are not kept.
        """
        workspace = await self._state.find(workspace_id)
        request = replace(
            choices,
            source=workspace.source_url,
            ref=workspace.ref,
            devfile=workspace.devfile_path,
            context=workspace.context,
        )
        provider = self._state.provider(workspace)
        credentials: tuple[Credential, ...] = ()
        if isinstance(provider, SecretStore):
            credentials = await asyncio.to_thread(provider.kept_credentials, workspace)
        preview = await self._creation.look_at(request, workspace.name, progress, credentials)
        present = await self._state.store.workload(workspace.id)
        return Update(workspace.id, preview, await asyncio.to_thread(differences, present, preview.workload))

    async def update(self, update: Update, *, unsaved: bool = False) -> Workspace:
        """Run what the preview of an update showed from now on: in a new attempt where it is wanted running.

        Raises as `stop` does.
        """
        preview = update.preview
        workspace = await self._state.find(update.workspace_id)
        if not unsaved:
            await self._lifecycle.save(workspace)
        if preview.credentials:
            secrets = secret_store_of(self._state.provider(workspace))
            await secrets.keep_credentials(workspace, preview.workload, preview.credentials)
        await self._state.store.update_workload(workspace.id, preview.workload, self._state.clock())
        if workspace.desired is not Desired.RUNNING:
            return workspace
        return await self._lifecycle.set_desired_state(
            workspace, Desired.RUNNING, new_generation=True, text="update"
        )
