"""Stores the credentials of clone addresses: one file for each workspace that has any, readable by this user
alone.

The format is that of git-credential-store(1). The file is removed with its workspace.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wsdash.backend.clone_address import Credential, scoped
from wsdash.backend.system.files import atomic
from wsdash.paths import make_folder


def text_of(credentials: Iterable[Credential]) -> str:
    """Format credentials as the text of such a file."""
    return "".join(f"{credential.line}\n" for credential in scoped(credentials))


class KeptCredentials:
    """The credential files in one folder. All methods block. `folder` is made with the first file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, workspace_id: str) -> Path:
        """The path of the workspace's credential file, whether or not it exists."""
        return self._folder / workspace_id

    def keep(self, workspace_id: str, credentials: Iterable[Credential]) -> None:
        """Store credentials atomically; newer ones come before existing ones. Raises OSError."""
        text = text_of([*credentials, *self.of(workspace_id)])
        make_folder(self._folder)
        atomic.write(self.file(workspace_id), text.encode(), durable=True)

    def of(self, workspace_id: str) -> tuple[Credential, ...]:
        """Read the workspace's credentials; none where there is no file or it cannot be read."""
        try:
            lines = self.file(workspace_id).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return ()
        return tuple(found for line in lines if (found := Credential.of_line(line)) is not None)

    def drop(self, workspace_id: str) -> None:
        """Remove the workspace's file, and drafts of processes that died while writing it. Raises OSError."""
        for file in (self.file(workspace_id), *self._folder.glob(f".{workspace_id}.*")):
            file.unlink(missing_ok=True)
