"""Finishes deletes, launches and crashes that left something behind on this machine. Blocking.

The process that begins to reconcile runs it; `wsdash doctor` lists what it would remove.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from wsdash.backend.access import leftovers as access
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.providers.local import leftovers as local
from wsdash.backend.providers.local.layout import Layout
from wsdash.backend.providers.local.terminate import Ender
from wsdash.backend.rules.leftovers import Ids, Leftover
from wsdash.backend.store.reader import Reader
from wsdash.backend.store.secret_notes import SecretNote, SecretNotes
from wsdash.paths import Paths

log = logging.getLogger(__name__)

_NOTES = "secrets"
_ROOMS = ("checkpoints", "credentials", "incoming", "branches", _NOTES)
"""Folders of the state folder that have a file or folder for each workspace, named by its id."""
_OLD_S = 3600.0
"""A file that is being written is younger, and so is the folder of a sandbox that is being tried."""


def find(paths: Paths) -> list[Leftover]:
    """List leftovers on this machine. Raises OSError, and the errors of reading the state store."""
    found = [one for layout in _layouts(paths) for one in local.find(layout, lambda: _ids(paths))]
    return found + _of_state(paths)


def find_elsewhere(paths: Paths) -> list[SecretNote]:
    """List workspaces, unknown to the state store, whose secrets may still be in a GitLab project.

    Raises the errors of reading the state store.
    """
    notes = list(SecretNotes(paths.state / _NOTES).all())
    ids = _ids(paths) if notes else Ids(frozenset(), frozenset())
    known = ids.living | ids.deleted | ids.elsewhere
    return [note for note in notes if note.workspace_id not in known]


def clean(paths: Paths) -> None:
    """Remove the leftovers. One that cannot be removed is logged, and found again next time."""
    for layout in _layouts(paths):
        try:
            for problem in local.remove(layout, Ender(time.time, layout.listeners), lambda: _ids(paths)):
                log.warning("left over, and not to be removed: %s", problem)
        except OSError as error:
            log.warning("%s cannot be cleared up: %s", layout.root, error)
    for one in _of_state(paths):
        try:
            shutil.rmtree(one.path) if one.path.is_dir() else one.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("left over, and not to be removed: %s", error)


def _of_state(paths: Paths) -> list[Leftover]:
    """List leftovers outside the providers' folders."""
    found = access.find(AccessFolder.of(paths), lambda: _ids(paths))
    owned = [path for room in _ROOMS for path in _entries(paths.state / room)]
    gone = _ids(paths).deleted
    found += [Leftover(path, "a workspace that is gone") for path in owned if {path.name, path.stem} & gone]
    # Tokens and keys on their way into the file of that name.
    secret = (paths.config_file, paths.credentials_file, paths.cache_key_file)
    drafts = [path for file in secret for path in file.parent.glob(f".{file.name}[.-]*") if _is_old(path)]
    drafts += [path for path in owned if path.name.startswith(".") and _is_old(path)]
    found += [Leftover(path, "a process that died while it wrote") for path in drafts]
    tries = [path for layout in _layouts(paths) for path in layout.root.glob(".probe-*")]
    return found + [Leftover(path, "a try of a sandbox that died") for path in tries if _is_aged(path)]


def _layouts(paths: Paths) -> Iterator[Layout]:
    for folder in _entries(paths.contexts):
        if (folder / "jobs").is_dir():
            yield Layout(folder)


def _ids(paths: Paths) -> Ids:
    reader = Reader(paths, makes_store=False)
    try:
        return reader.ids()
    finally:
        reader.close()


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _is_old(file: Path) -> bool:
    return file.is_file() and _is_aged(file)


def _is_aged(path: Path) -> bool:
    try:
        return abs(time.time() - path.lstat().st_mtime) > _OLD_S
    except FileNotFoundError:
        return False
