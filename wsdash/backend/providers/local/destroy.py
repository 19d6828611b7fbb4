"""Removes everything that a workspace owns below a local root, also after a removal that was killed. Blocking.

Each step may be the last one of its process: what is left is found again by the workspace's id, for jobs say whose
they are, and what is in the trash bears the id in its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from shlex import quote

from wsdash.backend.git.credential_files import KeptCredentials
from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.local.files import remove, staging
from wsdash.backend.providers.local.layout import JobFiles, Layout
from wsdash.backend.providers.local.terminate import Ender
from wsdash.backend.system import json_files

ByContainer = Callable[[Path, str], None]
"""Empties a folder as the root of a container of an image, as far as it can."""


def destroy(layout: Layout, ender: Ender, workspace_id: str, by_container: ByContainer | None = None) -> None:
    """Ends the workspace's jobs and removes its files. Raises ProviderError for what cannot be ended or removed."""
    own = jobs_of(layout, workspace_id)
    for files, spec in own.items():
        # A dot begins the name of a job that was never launched completely.
        if not files.folder.name.startswith("."):
            ender.force_cancel(files, spec)
    layout.secrets_of(workspace_id).unlink(missing_ok=True)
    KeptCredentials(layout.credentials).drop(workspace_id)
    remove.discard(layout.workspace(workspace_id), layout.trash, workspace_id)
    # The jobs' records stay until then, for they name the images.
    _purge(
        layout, workspace_id, [str(spec["image"]) for spec in own.values() if spec.get("image")], by_container
    )
    for files in own:
        remove.discard(files.folder, layout.trash, workspace_id)
    remove.purge(layout.trash, workspace_id)
    staging.remove_mark(layout, workspace_id)


def jobs_of(layout: Layout, workspace_id: str) -> dict[JobFiles, dict[str, object]]:
    """The jobs of a workspace, also those whose launch was not completed, with what `spec.json` says."""
    found = {files: json_files.read(files.spec) or {} for files in all_jobs(layout)}
    return {files: spec for files, spec in found.items() if spec.get("workspace") == workspace_id}


def all_jobs(layout: Layout) -> list[JobFiles]:
    """Every folder of a job, also of one whose launch was not completed."""
    return [JobFiles(Path(entry)) for entry in os.scandir(layout.jobs)]


def _purge(layout: Layout, workspace_id: str, images: list[str], by_container: ByContainer | None) -> None:
    """Files of other users, such as root in a container has made, are removed by a container."""
    try:
        remove.purge(layout.trash, workspace_id)
    except PermissionError:
        for entry in remove.in_trash(layout.trash, workspace_id):
            if by_container is not None and images:
                by_container(entry, images[-1])
        try:
            remove.purge(layout.trash, workspace_id)
        except PermissionError as error:
            raise ProviderError(
                f"files of the workspace belong to another user and cannot be removed: {error.filename}",
                f"Remove them with: sudo rm -rf {quote(str(layout.trash))}",
            ) from error
