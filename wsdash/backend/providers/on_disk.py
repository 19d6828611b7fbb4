"""Folders and leftovers of providers on this machine. Blocking.

Each context has a folder below `Paths.contexts` if its provider keeps anything here; only the local one does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from wsdash.backend.providers.local.layout import Layout
from wsdash.paths import Paths

TYPE_CHECKING = False  # as in typing, which the quick verbs do without
if TYPE_CHECKING:
    from wsdash.backend.rules.leftovers import AskIds, Leftover


def folders(paths: Paths, context: str) -> dict[str, str]:
    """Return the folders of a context's workspaces by id; empty where its provider keeps none here."""
    try:
        return {entry.name: entry.path for entry in os.scandir(Layout(paths.contexts / context).workspaces)}
    except OSError:
        return {}


def find_leftovers(paths: Paths, ask: AskIds, oldest_s: float) -> list[Leftover]:
    """List what processes that died have left; tries of a sandbox from an age of `oldest_s` seconds on.

    Raises OSError, and what `ask` raises.
    """
    from wsdash.backend.providers.local import leftovers
    from wsdash.backend.rules.leftovers import Leftover

    found: list[Leftover] = []
    for layout in _layouts(paths):
        found += leftovers.find(layout, ask)
        found += [Leftover(path, "an isolation test whose process died") for path in _tries(layout, oldest_s)]
    return found


def end_leftovers(paths: Paths, ask: AskIds, oldest_s: float) -> Iterator[str]:
    """End and remove what `find_leftovers` lists, and yield what could not be removed, with the reason."""
    import shutil  # which a list, that only needs the folders, would load in vain

    from wsdash.backend.providers.local import leftovers
    from wsdash.backend.providers.local.terminate import Ender

    for layout in _layouts(paths):
        try:
            yield from leftovers.remove(layout, Ender(time.time, layout.listeners), ask)
            for path in _tries(layout, oldest_s):
                shutil.rmtree(path)
        except OSError as error:
            yield f"{layout.root}: {error}"


def _layouts(paths: Paths) -> Iterator[Layout]:
    try:
        found = sorted(paths.contexts.iterdir())
    except FileNotFoundError:
        return
    yield from (Layout(folder) for folder in found if (folder / "jobs").is_dir())


def _tries(layout: Layout, oldest_s: float) -> list[Path]:
    return [path for path in layout.root.glob(".probe-*") if _age_s(path) > oldest_s]


def _age_s(path: Path) -> float:
    try:
        return abs(time.time() - path.lstat().st_mtime)
    except FileNotFoundError:
        return 0.0
