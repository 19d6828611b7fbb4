"""Credentials of clone addresses, a file for each workspace that has any, readable by this user alone.

A file is one of git-credential-store(1), and goes with its workspace.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wsdash.backend.clone_address import Credential, scoped
from wsdash.backend.system import atomic
from wsdash.paths import make_folder


def text_of(credentials: Iterable[Credential]) -> str:
    """The text of such a file."""
    return "".join(f"{credential.line}\n" for credential in scoped(credentials))


class KeptCredentials:
    """Everything here blocks. `folder` is made when something is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, workspace_id: str) -> Path:
        """Where those of the workspace are, if it has any."""
        return self._folder / workspace_id

    def keep(self, workspace_id: str, credentials: Iterable[Credential]) -> None:
        """Whole or not at all; newer ones stand before those that are there. Raises OSError."""
        text = text_of([*credentials, *self.of(workspace_id)])
        make_folder(self._folder)
        atomic.write(self.file(workspace_id), text.encode(), durable=True)

    def of(self, workspace_id: str) -> tuple[Credential, ...]:
        """None where nothing is kept, or it cannot be read."""
        try:
            lines = self.file(workspace_id).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return ()
        return tuple(found for line in lines if (found := Credential.of_line(line)) is not None)

    def drop(self, workspace_id: str) -> None:
        """Also what a process left that died while it kept them. Raises OSError."""
        for file in (self.file(workspace_id), *self._folder.glob(f".{workspace_id}.*")):
            file.unlink(missing_ok=True)
