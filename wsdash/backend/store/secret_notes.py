"""Notes on this machine of which workspaces have secrets in which project of a GitLab, made before the secrets are.

A workspace whose `create` was killed has nothing else yet that a provider could tell of. With the state store lost, its
note alone says that the secrets there are ours to be removed, and no other user's or other machine's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from wsdash.backend.system import atomic
from wsdash.paths import make_folder


@dataclass(frozen=True, slots=True)
class SecretNote:
    """`url` is the instance's, and `project` the path of the project there."""

    workspace_id: str
    url: str
    project: str


class SecretNotes:
    """Everything here blocks. `folder` is made when something is noted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, note: SecretNote) -> None:
        """Raises OSError."""
        make_folder(self._folder)
        atomic.write(self._folder / note.workspace_id, json.dumps(asdict(note)).encode())

    def all(self) -> Iterator[SecretNote]:
        """Of one that cannot be read nothing is known."""
        for file in sorted(self._folder.glob("[!.]*")):
            try:
                values = json.loads(file.read_text(encoding="utf-8"))
                yield SecretNote(file.name, str(values["url"]), str(values["project"]))
            except (OSError, ValueError, TypeError, KeyError):
                continue

    def drop(self, workspace_id: str) -> None:
        """Raises OSError."""
        (self._folder / workspace_id).unlink(missing_ok=True)
