"""Grants: which attempt of a workspace the relay admits. An attempt proves itself once, then uses its own key."""

from __future__ import annotations

import errno
import json
import os
import re
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path

from wsdash.backend.system.files import atomic

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}", re.ASCII)
"""Login names that are accepted from a job: safe in a shell and in an ssh configuration without quotes."""


@dataclass(frozen=True, slots=True)
class Grant:
    """An attempt that may connect to the relay. `name` is the workspace's name, which the user's ssh uses too.

    It proves who it is by an id token of GitLab for `audience`, signed by the instance at `issuer` for the
    pipeline `pipeline_id`; or by the secret whose SHA-256 is `secret_hash`, until `not_after`, in seconds since the
    epoch. `job_key` is the public key that it then made for itself: from there on only that counts, and no proof
    any more; `host_key` is that of its SSH server. `login` is the name of the user that the job runs as; jobs of older
    versions do not tell it. `context` is that of the workspace, `address` the one that the job connects to:
    `HOST PORT`; `later` is the one that it got since.
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
    host_key: str = ""
    login: str = ""
    context: str = ""
    address: str = ""
    later: str = ""

    @property
    def path(self) -> str:
        """The virtual path that the attempt may listen under."""
        return f"/wsdash/{self.workspace_id}"


class GrantStatus(StrEnum):
    """Whether an attempt is the one that may listen for its workspace now."""

    CURRENT = "current"
    SUPERSEDED = "superseded"
    UNKNOWN = "unknown"
    """The grants cannot be read now, which says nothing about any of them."""


class Unreadable(OSError):
    """A grant cannot be read or may exist unseen: a full or missing disk, no free file descriptor, or damage."""


class Grants:
    """The grants, one file for each workspace: a newer attempt replaces the previous one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_before: dict[Path, tuple[tuple[int, int, int], Grant]] = {}

    def write(self, grant: Grant) -> None:
        """Admit an attempt, and no older one of its workspace. Raises `OSError`."""
        if not (ID.fullmatch(grant.workspace_id) and ID.fullmatch(grant.attempt_id)):
            raise ValueError(f"no name for a grant: {grant.workspace_id!r}")
        atomic.write(self._file(grant.workspace_id), json.dumps(asdict(grant)).encode(), durable=True)

    def remove(self, workspace_id: str) -> None:
        """Admit no attempt of this workspace any more. Raises `OSError`."""
        if ID.fullmatch(workspace_id):
            self._file(workspace_id).unlink(missing_ok=True)

    def find(self, attempt_id: str) -> Grant | None:
        """Return an attempt's grant; None without one, or if a newer attempt replaced it. Raises `Unreadable`."""
        problem: Unreadable | None = None
        for file in self._files():
            try:
                found = self._read(file)
            except Unreadable as error:
                problem = error
                continue
            if found is not None and found.attempt_id == attempt_id:
                return found
        if problem is not None:
            raise problem
        return None

    def of_workspace(self, workspace_id: str) -> Grant | None:
        """Return the grant of the attempt that may listen for a workspace now. Raises `Unreadable`."""
        return self._read(self._file(workspace_id)) if ID.fullmatch(workspace_id) else None

    def standing(self, grant: Grant) -> GrantStatus:
        """Return whether this attempt, with the key that it enrolled, may still listen for its workspace."""
        try:
            now = self.of_workspace(grant.workspace_id)
        except Unreadable:
            return GrantStatus.UNKNOWN
        is_current = now is not None and (now.attempt_id, now.job_key) == (grant.attempt_id, grant.job_key)
        return GrantStatus.CURRENT if is_current else GrantStatus.SUPERSEDED

    def all(self) -> list[Grant]:
        """Return every grant. Raises `Unreadable`."""
        return [grant for file in self._files() if (grant := self._read(file)) is not None]

    def _files(self) -> list[Path]:
        """Return the files of grants. Raises `Unreadable`."""
        try:
            names = sorted(os.listdir(self._folder))  # noqa: PTH208 - iterdir hides errors until it is read
        except OSError as error:
            raise Unreadable(*error.args) from error
        files = [self._folder / name for name in names if name.endswith(".json") and name[0] != "."]
        self._read_before = {file: self._read_before[file] for file in files if file in self._read_before}
        return files

    def _file(self, workspace_id: str) -> Path:
        return self._folder / f"{workspace_id}.json"

    def _read(self, file: Path) -> Grant | None:
        """Return a file's grant; None if the folder is readable and has no such file."""
        try:
            found = file.stat()
            mark = (found.st_ino, found.st_mtime_ns, found.st_size)
            before = self._read_before.get(file)
            if before is not None and before[0] == mark:
                return before[1]
            record = json.loads(file.read_text(encoding="utf-8"))
            grant = Grant(**{key: value for key, value in record.items() if key in _FIELDS})
        except FileNotFoundError as error:
            if self._folder.is_dir():
                return None
            raise Unreadable(*error.args) from error
        except OSError as error:
            raise Unreadable(*error.args) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise Unreadable(errno.EBADMSG, f"{file.name} is damaged") from error
        self._read_before[file] = (mark, grant)
        return grant


_FIELDS = frozenset(field.name for field in fields(Grant))
"""The known fields: a newer version may have written more."""
