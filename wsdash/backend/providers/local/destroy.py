"""Removes everything that a workspace owns below a local root, also after an interrupted removal. Blocking.

The process may die after any step. The rest is found again by the workspace's id, because jobs record their
workspace, and names in the trash contain its id.
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
from wsdash.backend.system.files import json_files

ByContainer = Callable[[Path, str], None]
"""Empties a folder as root in a container of an image, as far as possible."""


def destroy(layout: Layout, ender: Ender, workspace_id: str, by_container: ByContainer | None = None) -> None:
    """End the workspace's jobs and remove its files. Raises ProviderError if one cannot be ended or removed."""
    own = jobs_of(layout, workspace_id)
    for files, spec in own.items():
        # A name that begins with a dot belongs to a job that was not launched completely.
        if not files.folder.name.startswith("."):
            ender.force_cancel(files, spec)
    layout.secrets_of(workspace_id).unlink(missing_ok=True)
    KeptCredentials(layout.credentials).drop(workspace_id)
    remove.discard(layout.workspace(workspace_id), layout.trash, workspace_id)
    # The jobs' records are removed last, because they name the images.
    _purge(
        layout, workspace_id, [str(spec["image"]) for spec in own.values() if spec.get("image")], by_container
    )
    for files in own:
        remove.discard(files.folder, layout.trash, workspace_id)
    remove.purge(layout.trash, workspace_id)
    staging.remove_mark(layout, workspace_id)


def jobs_of(layout: Layout, workspace_id: str) -> dict[JobFiles, dict[str, object]]:
    """Return a workspace's jobs, including incompletely launched ones, with the contents of `spec.json`."""
    found = {files: json_files.read(files.spec) or {} for files in all_jobs(layout)}
    return {files: spec for files, spec in found.items() if spec.get("workspace") == workspace_id}


def all_jobs(layout: Layout) -> list[JobFiles]:
    """Return every folder of a job, including incompletely launched ones."""
    return [JobFiles(Path(entry)) for entry in os.scandir(layout.jobs)]


def _purge(layout: Layout, workspace_id: str, images: list[str], by_container: ByContainer | None) -> None:
    """Purge the trash. Files of other users, such as root in a container, are removed by a container."""
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
