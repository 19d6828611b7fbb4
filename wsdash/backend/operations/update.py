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
    """`changes` are the lines of a unified diff of its job; empty if there are none. Untrusted text."""

    workspace_id: str
    preview: Preview
    changes: tuple[str, ...]


def differences(present: Workload, wanted: Workload) -> tuple[str, ...]:
    """Return the differences of two jobs as lines of a unified diff; empty if they are the same."""
    if present == wanted:
        return ()
    before, after = (
        render(SecretHider().of_workload(workload)).splitlines() for workload in (present, wanted)
    )
    lines = [
        *difflib.unified_diff(before, after, "the present job", "the job of the devfile now", lineterm="")
    ]
    if present.image != wanted.image:
        lines += [f"-image {present.image or 'none'}", f"+image {wanted.image or 'none'}"]
    return tuple(lines) or ("@ outside the commands: ports, services, limits or similar @",)


class Updates:
    """Updates workspaces to their current devfiles."""

    def __init__(self, state: State, creation: Creation, lifecycle: Lifecycle) -> None:
        self._state = state
        self._creation = creation
        self._lifecycle = lifecycle

    async def preview_update(
        self, workspace_id: str, choices: CreateRequest, progress: Callable[[str], None] = lambda _: None
    ) -> Update:
        """Translate the workspace's source again, and compare. Raises `WsdashError`.

        Of `choices`, the component, the image and the secrets are used, which are not stored.
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
        """Run the previewed job from now on; if the desired state is running, in a new attempt.

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
