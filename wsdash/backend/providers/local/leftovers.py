"""Finds and removes leftovers of dead processes below a local root. Blocking.

Files of a living process are never touched: launches and imports lock their folder meanwhile. Files of a workspace
that the state store does not know stay, because it may have lost it; secrets without any other files are removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.local import destroy
from wsdash.backend.providers.local.files import remove as files_remove
from wsdash.backend.providers.local.files import staging
from wsdash.backend.providers.local.layout import JobFiles, Layout
from wsdash.backend.providers.local.supervisor import notify, process_tree
from wsdash.backend.providers.local.supervisor.marks import Mark
from wsdash.backend.providers.local.terminate import Ender
from wsdash.backend.rules.leftovers import AskIds, Ids, Leftover
from wsdash.backend.system.files import atomic, json_files
from wsdash.backend.system.files.locks import clearing, is_locked
from wsdash.backend.system.processes import stat_of

_DRAFT = re.compile(r"\..+\.(\d{1,9})")
"""The name of an unfinished record of an earlier version: `.NAME.PID`."""
_LONGEST_S = 10.0


def find(layout: Layout, ask: AskIds) -> list[Leftover]:
    """Return the leftovers that `remove` would remove."""
    if not layout.jobs.is_dir():
        return []
    found = [Leftover(path, "a deleted workspace") for path in files_remove.in_trash(layout.trash)]
    with clearing(layout.jobs) as is_alone:
        if is_alone:
            found += [Leftover(files.folder, "an incomplete launch") for files in _half_launched(layout)]
    with clearing(layout.drafts) as is_alone:
        if is_alone:
            found += [
                Leftover(Path(entry), "an import whose process died") for entry in os.scandir(layout.drafts)
            ]
    found += [Leftover(path, "a process that died while writing it") for path in _drafts_of_records(layout)]
    found += [
        Leftover(path, "a dead process that watched for changes")
        for path in notify.abandoned(layout.listeners)
    ]
    owned = _owned(layout)
    gone = _gone(layout, owned, ask())
    return found + [Leftover(path, "a deleted workspace") for i in gone for path in owned[i]]


def remove(layout: Layout, ender: Ender, ask: AskIds) -> list[str]:
    """Remove all leftovers. Return the ones that could not be removed, with the reason."""
    if not layout.jobs.is_dir():
        return []
    problems: list[str] = []
    with clearing(layout.jobs) as is_alone:
        for files in _half_launched(layout) if is_alone else ():
            process_tree.end_marked(Mark.of(files), _LONGEST_S)
            files_remove.discard(files.folder, layout.trash, "launch")
    for path in (*_drafts_of_records(layout), *notify.abandoned(layout.listeners)):
        path.unlink(missing_ok=True)
    staging.clear_up(layout, lambda: ask().living)
    owned = _owned(layout)
    for workspace_id in _gone(layout, owned, ask()):
        try:
            destroy.destroy(layout, ender, workspace_id)
        except (ProviderError, OSError) as error:
            problems.append(f"{workspace_id}: {error}")
    try:
        files_remove.purge(layout.trash)
    except OSError as error:
        problems.append(f"{error.filename}: {error.strerror}")
    return problems


def _half_launched(layout: Layout) -> list[JobFiles]:
    """Return folders of jobs that were never launched completely. Needs the folder's exclusive lock."""
    return [
        files
        for files in destroy.all_jobs(layout)
        if files.folder.name.startswith(".")
        or (
            json_files.read(files.spec) is None
            and not files.supervisor.exists()
            and not is_locked(files.lock)
        )
    ]


def _drafts_of_records(layout: Layout) -> Iterator[Path]:
    for files in destroy.all_jobs(layout):
        with contextlib.suppress(OSError):
            for entry in os.scandir(files.folder):
                found = _DRAFT.fullmatch(entry.name)
                if found is not None and stat_of(int(found[1])) is None:
                    yield Path(entry)
        yield from atomic.abandoned(files.folder, time.time() - atomic.ABANDONED_S)


def _owned(layout: Layout) -> dict[str, list[Path]]:
    """Return the folders and files that name their workspace, by workspace."""
    owned: dict[str, list[Path]] = {}
    for room in (layout.workspaces, layout.secrets, layout.credentials):
        for entry in os.scandir(room) if room.is_dir() else ():
            owned.setdefault(entry.name, []).append(Path(entry))
    for files in destroy.all_jobs(layout):
        owner = (json_files.read(files.spec) or {}).get("workspace")
        if isinstance(owner, str):
            owned.setdefault(owner, []).append(files.folder)
    return owned


def _gone(layout: Layout, owned: dict[str, list[Path]], ids: Ids) -> list[str]:
    """Return deleted workspaces, and unknown ones with nothing but secrets, which cannot be recovered."""
    secret = {layout.secrets, layout.credentials}
    unknown = owned.keys() - ids.living - ids.deleted
    only_secrets = {one for one in unknown if {path.parent for path in owned[one]} <= secret}
    return sorted(owned.keys() & ids.deleted | only_secrets)
