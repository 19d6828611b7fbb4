"""Notes on this machine of workspaces with secrets in a GitLab project, written before the secrets are.

A workspace whose `create` was killed has no other object yet that a provider could find. If the state store is
lost, only its note shows that the secrets there belong to this user and machine and may be removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from wsdash.backend.system.files import atomic
from wsdash.paths import make_folder


@dataclass(frozen=True, slots=True)
class SecretNote:
    """One workspace's note. `url` is the instance's address, and `project` the path of the project there."""

    workspace_id: str
    url: str
    project: str


class SecretNotes:
    """The notes in one folder. All methods block. `folder` is made with the first note."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, note: SecretNote) -> None:
        """Write the note. Raises OSError."""
        make_folder(self._folder)
        atomic.write(self._folder / note.workspace_id, json.dumps(asdict(note)).encode())

    def all(self) -> Iterator[SecretNote]:
        """Return all readable notes; unreadable ones are skipped."""
        for file in sorted(self._folder.glob("[!.]*")):
            try:
                values = json.loads(file.read_text(encoding="utf-8"))
                yield SecretNote(file.name, str(values["url"]), str(values["project"]))
            except (OSError, ValueError, TypeError, KeyError):
                continue

    def drop(self, workspace_id: str) -> None:
        """Remove the workspace's note. Raises OSError."""
        (self._folder / workspace_id).unlink(missing_ok=True)
