"""Where a repository keeps its devfile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wsdash.devfile.diagnostics import DevfileError, Diagnostic, show
from wsdash.devfile.limits import MAX_BYTES

ROOT_NAMES = ("devfile.yaml", ".devfile.yaml", "devfile.yml", ".devfile.yml")
"""The order of devfile/library (pkg/devfile/parser/context/location.go)."""
FOLDER = ".devfile"
"""GitLab's folder of named devfiles (GitLab workspaces, "Custom devfile"); sub-folders do not count."""


def choose(names: Iterable[str]) -> str | None:
    """The devfile among a repository's file names (`/` separated, relative to its root), None if it has none.

    Raises `DevfileError` where only the folder `.devfile/` holds devfiles and there are several of them.
    """
    present = set(names)
    for name in ROOT_NAMES:
        if name in present:
            return name
    named = sorted(name for name in present if _is_named(name))
    if len(named) > 1:
        listed = ", ".join(map(show, named[:10])) + (", ..." if len(named) > 10 else "")
        raise DevfileError(
            [
                Diagnostic(
                    1,
                    1,
                    "error",
                    "locate.several",
                    f"{FOLDER}/ holds several devfiles: {listed}",
                    "say which one to use, for example: --devfile " + show(named[0]),
                )
            ],
            FOLDER,
        )
    return named[0] if named else None


def _is_named(name: str) -> bool:
    folder, _, file = name.partition("/")
    return folder == FOLDER and "/" not in file and PurePosixPath(file).suffix in (".yaml", ".yml")


def find(folder: Path) -> Path | None:
    """The devfile of the repository that is checked out in `folder`, None if it has none.

    Only regular files inside `folder` count; a symbolic link that leads out of it does not.
    Raises `DevfileError` as `choose` does, and `OSError` where the folder cannot be read.
    """
    inside = folder.resolve(strict=True)
    candidates = [folder / name for name in ROOT_NAMES]
    if (folder / FOLDER).is_dir():
        candidates += (folder / FOLDER).iterdir()
    files = (path for path in candidates if path.is_file() and path.resolve().is_relative_to(inside))
    name = choose(path.relative_to(folder).as_posix() for path in files)
    return folder / name if name else None


@dataclass(frozen=True, slots=True)
class Folder:
    """The repository that a devfile on this machine is in, else its folder: its parents are read from nowhere else."""

    root: Path

    @classmethod
    def of(cls, file: Path) -> Folder:
        here = file.resolve().parent
        return cls(next((place for place in (here, *here.parents) if (place / ".git").exists()), here))

    def path_of(self, file: Path) -> str:
        """The file's path from the root. Raises `ValueError` where it is outside."""
        return file.resolve().relative_to(self.root).as_posix()

    def read(self, path: str) -> bytes | None:
        """For `flatten`: what the file holds, None where the root has no such file, symbolic links followed.

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
