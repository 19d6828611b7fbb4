"""Removes leftovers of interrupted deletes, launches and crashes from this machine. Blocking.

The process that starts to reconcile runs it; `wsdash doctor` lists what it would remove.
"""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

from wsdash.backend.access import leftovers as access
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.providers import on_disk
from wsdash.backend.rules.leftovers import Ids, Leftover
from wsdash.backend.store.reader import Reader
from wsdash.backend.store.secret_notes import SecretNote, SecretNotes
from wsdash.paths import Paths

log = logging.getLogger(__name__)

_NOTES = "secrets"
_ROOMS = ("checkpoints", "credentials", "incoming", "branches", _NOTES)
"""Folders of the state folder that have a file or folder for each workspace, named by its id."""
_OLD_S = 3600.0
"""The age in seconds from which an unfinished file, or a folder of an isolation test, counts as abandoned."""


def find(paths: Paths) -> list[Leftover]:
    """List leftovers on this machine. Raises OSError, and the errors of reading the state store."""
    found = on_disk.find_leftovers(paths, lambda: _ids(paths), _OLD_S)
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
    for problem in on_disk.end_leftovers(paths, lambda: _ids(paths), _OLD_S):
        log.warning("left over, and not to be removed: %s", problem)
    for one in _of_state(paths):
        try:
            shutil.rmtree(one.path) if one.path.is_dir() else one.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("a leftover could not be removed: %s", error)


def _of_state(paths: Paths) -> list[Leftover]:
    """List leftovers outside the providers' folders."""
    found = access.find(AccessFolder.of(paths), lambda: _ids(paths))
    owned = [path for room in _ROOMS for path in _entries(paths.state / room)]
    gone = _ids(paths).deleted
    found += [Leftover(path, "a deleted workspace") for path in owned if {path.name, path.stem} & gone]
    # Unfinished files of secrets, which are renamed to these names.
    secret = (paths.config_file, paths.credentials_file, paths.cache_key_file)
    drafts = [path for file in secret for path in file.parent.glob(f".{file.name}[.-]*") if _is_old(path)]
    drafts += [path for path in owned if path.name.startswith(".") and _is_old(path)]
    return found + [Leftover(path, "a process that died while writing it") for path in drafts]


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
