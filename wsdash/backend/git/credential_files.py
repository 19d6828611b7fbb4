"""Credentials of clone addresses, a file for each workspace that has any, readable by this user alone.

A file is one of git-credential-store(1), and goes with its workspace.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from wsdash.backend.clone_address import Credential, scoped
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
        draft = self._folder / f".{workspace_id}.{secrets.token_hex(4)}"
        descriptor = os.open(
            draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self.file(workspace_id))

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
