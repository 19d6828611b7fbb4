"""Finds the devfile or Dev Container of a repository."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wsdash.devfile.diagnostics import DevfileError, Diagnostic, show
from wsdash.devfile.limits import MAX_BYTES

ROOT_NAMES = ("devfile.yaml", ".devfile.yaml", "devfile.yml", ".devfile.yml")
"""The order of devfile/library (pkg/devfile/parser/context/location.go)."""
FOLDER = ".devfile"
"""GitLab's folder of named devfiles (GitLab workspaces, "Custom devfile"); sub-folders do not count."""
CONTAINER_FOLDER = ".devcontainer"
CONTAINER_NAMES = (f"{CONTAINER_FOLDER}/devcontainer.json", ".devcontainer.json")


def choose(names: Iterable[str]) -> str | None:
    """Return the devfile among a repository's file names (`/` separated, relative to its root), None if it has none.

    Without a devfile, return a Dev Container (containers.dev, "devcontainer.json": its possible places).
    Raises `DevfileError` if there are several of them and none has priority.
    """
    present = set(names)
    for name in ROOT_NAMES:
        if name in present:
            return name
    if found := _only_one(FOLDER, [name for name in present if _is_named(name)]):
        return found
    for name in CONTAINER_NAMES:
        if name in present:
            return name
    return _only_one(CONTAINER_FOLDER, [name for name in present if _is_named_container(name)])


def _only_one(folder: str, named: list[str]) -> str | None:
    if len(named) > 1:
        listed = ", ".join(map(show, sorted(named)[:10])) + (", ..." if len(named) > 10 else "")
        message = f"{folder}/ contains several descriptions of a workspace: {listed}"
        hint = "choose one, for example: --devfile " + show(min(named))
        raise DevfileError([Diagnostic(1, 1, "error", "locate.several", message, hint)], folder)
    return named[0] if named else None


def _is_named(name: str) -> bool:
    folder, _, file = name.partition("/")
    return folder == FOLDER and "/" not in file and PurePosixPath(file).suffix in (".yaml", ".yml")


def _is_named_container(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 3 and parts[0] == CONTAINER_FOLDER and parts[2] == "devcontainer.json"


def find(folder: Path) -> Path | None:
    """Return the devfile, or else Dev Container, of the repository checked out in `folder`; None if it has none.

    Only regular files inside `folder` count; a symbolic link that leads out of it does not.
    Raises `DevfileError` as `choose` does, and `OSError` where the folder cannot be read.
    """
    inside = folder.resolve(strict=True)
    candidates = [folder / name for name in (*ROOT_NAMES, *CONTAINER_NAMES)]
    if (folder / FOLDER).is_dir():
        candidates += (folder / FOLDER).iterdir()
    if (folder / CONTAINER_FOLDER).is_dir():
        candidates += (folder / CONTAINER_FOLDER).glob("*/devcontainer.json")
    files = (path for path in candidates if path.is_file() and path.resolve().is_relative_to(inside))
    name = choose(path.relative_to(folder).as_posix() for path in files)
    return folder / name if name else None


@dataclass(frozen=True, slots=True)
class Folder:
    """The repository around a local devfile, else its folder. Parents are read only from there."""

    root: Path

    @classmethod
    def of(cls, file: Path) -> Folder:
        """Return the repository or folder that contains `file`."""
        here = file.resolve().parent
        # Path.exists raises where a folder cannot be entered.
        return cls(next((p for p in (here, *here.parents) if os.path.exists(p / ".git")), here))  # noqa: PTH110

    def path_of(self, file: Path) -> str:
        """Return the file's path from the root. Raises `ValueError` for a file outside."""
        return file.resolve().relative_to(self.root).as_posix()

    def read(self, path: str) -> bytes | None:
        """Read a file for `flatten`; None where the root has no such file, symbolic links followed.

        Reads at most one byte more than a devfile may have, which is enough to refuse it. Raises `OSError`.
        """
        try:
            file = (self.root / path).resolve()
        except RuntimeError:  # links that go round in a circle
            return None
        if not file.is_relative_to(self.root) or not file.is_file():
            return None
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
