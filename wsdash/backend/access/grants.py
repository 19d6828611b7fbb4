"""What the relay lets in: one attempt of one workspace, by a proof that is used once, then by the job's own key."""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")


@dataclass(frozen=True, slots=True)
class Grant:
    """An attempt that may dial in. `name` is the workspace's, by which the user's ssh knows it too.

    It proves who it is by an id token of GitLab for `audience`, signed by the instance at `issuer` for the
    pipeline `pipeline_id`; or by the secret whose SHA-256 is `secret_hash`, until `not_after`, in seconds since the
    epoch. `job_key` is the public key that it then made for itself: from there on only that counts, and no proof
    any more.
    """

    workspace_id: str
    attempt_id: str
    number: int
    name: str = ""
    issuer: str = ""
    audience: str = ""
    pipeline_id: str = ""
    ca_file: str | None = None
    secret_hash: str = ""
    not_after: float = 0.0
    job_key: str = ""

    @property
    def path(self) -> str:
        """The virtual name that it may listen under."""
        return f"/wsdash/{self.workspace_id}"


class Grants:
    """One file for each workspace: a newer attempt takes the place of the one before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, grant: Grant) -> None:
        """Let an attempt in, and no older one. Raises `OSError`."""
        if not (ID.fullmatch(grant.workspace_id) and ID.fullmatch(grant.attempt_id)):
            raise ValueError(f"no name for a grant: {grant.workspace_id!r}")
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=".")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(grant), file)
        Path(name).replace(self._file(grant.workspace_id))

    def remove(self, workspace_id: str) -> None:
        """Let nobody in for this workspace any more."""
        if ID.fullmatch(workspace_id):
            self._file(workspace_id).unlink(missing_ok=True)

    def find(self, attempt_id: str) -> Grant | None:
        """The grant of an attempt, None where there is none or a newer attempt has it."""
        return next((grant for grant in self.all() if grant.attempt_id == attempt_id), None)

    def of_workspace(self, workspace_id: str) -> Grant | None:
        """Who may listen for a workspace now."""
        return self._read(self._file(workspace_id)) if ID.fullmatch(workspace_id) else None

    def all(self) -> list[Grant]:
        files = (file for file in sorted(self._folder.glob("*.json")) if not file.name.startswith("."))
        return [grant for file in files if (grant := self._read(file)) is not None]

    def _file(self, workspace_id: str) -> Path:
        return self._folder / f"{workspace_id}.json"

    def _read(self, file: Path) -> Grant | None:
        try:
            return Grant(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
