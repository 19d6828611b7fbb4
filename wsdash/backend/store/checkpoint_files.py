"""Stores checkpoints on this machine: the newest of each workspace, replaced atomically.

  FOLDER/WORKSPACE/kept.json     the last checkpoint, and superseded ones
                   3.7.bundle    its bytes, as the job sent them: wsdash does not parse them

A job's data is not trusted: it may use only a part of the disk, and its bytes must match the hash that the
job sent.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from wsdash.backend.system.files import atomic
from wsdash.paths import make_folder

NO_CHECKPOINT = "none"
"""The answer to a job's request for a checkpoint if there is none."""
MOST_BYTES = 1 << 30
SHARE = 0.1
"""The largest share of the free disk that one checkpoint may take."""
SUPERSEDED_KEPT = 3
"""Number of kept checkpoints that a later job did not build on."""


@dataclass(frozen=True, slots=True, order=True)
class CheckpointId:
    """The attempt's number, and the checkpoint's number within the attempt; the greater id is newer."""

    number: int = 0
    count: int = 0

    def __str__(self) -> str:
        return f"{self.number}.{self.count}"

    @classmethod
    def of(cls, text: str) -> CheckpointId:
        """Parse `ATTEMPT.NUMBER`. Raises ValueError."""
        number, dot, count = text.partition(".")
        if not (dot and number.isascii() and count.isascii() and number.isdecimal() and count.isdecimal()):
            raise ValueError(f"{text!r} is not a checkpoint's id")
        return cls(int(number[:9]), int(count[:9]))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A stored checkpoint, or one to store. `hash` is Git's blob hash of its bytes; `at` is on the job's clock."""

    id: CheckpointId
    at: int
    size: int
    hash: str


class NoRoom(Exception):
    """The checkpoint would take too much of this machine's disk."""


class CheckpointStore:
    """The checkpoints in one folder. All methods block. Only the process that holds the lease writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self, workspace_id: str) -> Checkpoint | None:
        """Return the workspace's last checkpoint; None if there is none."""
        found = self._read(workspace_id)
        return found[0] if found else None

    def file(self, workspace_id: str, checkpoint: Checkpoint) -> Path:
        """Return the path of a checkpoint's bytes."""
        return self._folder / workspace_id / f"{checkpoint.id}.bundle"

    def superseded(self, workspace_id: str) -> list[Path]:
        """List the files of checkpoints that a later job did not build on."""
        return [self.file(workspace_id, one) for one in self._read(workspace_id)[1:]]

    def draft(self, workspace_id: str, one: Checkpoint) -> IO[bytes]:
        """Create a file for the bytes of the next checkpoint. Raises `NoRoom` and OSError."""
        folder = self._folder / workspace_id
        make_folder(folder)
        for left in folder.glob("draft-*"):
            left.unlink(missing_ok=True)
        if one.size > MOST_BYTES or one.size > shutil.disk_usage(folder).free * SHARE:
            raise NoRoom(f"{one.size} bytes")
        draft = folder / f"draft-{one.id}"
        return os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b")

    def keep(self, workspace_id: str, one: Checkpoint, base: CheckpointId, draft: IO[bytes]) -> None:
        """Make the draft the last checkpoint, and remove the previous one.

        Exception: if the previous checkpoint is newer than the new one's base, it is kept as superseded, because
        the new job began without it. Raises ValueError if the bytes do not match the hash or the draft is not
        newer; and OSError.
        """
        draft.flush()
        os.fsync(draft.fileno())
        draft.seek(0)
        if hash_of(draft, one.size) != one.hash:
            raise ValueError("the checkpoint arrived incomplete")
        folder = self._folder / workspace_id
        before = self._read(workspace_id)
        if before and one.id <= before[0].id:
            raise ValueError(f"the checkpoint {one.id} is not newer than {before[0].id}")
        superseded = before[1:]
        if before and before[0].id > base and before[0].id.number != one.id.number:
            superseded = before[:1] + superseded
        (folder / f"draft-{one.id}").replace(self.file(workspace_id, one))
        self._write(workspace_id, [one, *superseded[:SUPERSEDED_KEPT]])
        wanted = {self.file(workspace_id, found).name for found in (one, *superseded[:SUPERSEDED_KEPT])}
        for file in folder.glob("*.bundle"):
            if file.name not in wanted:
                file.unlink(missing_ok=True)

    def drop(self, workspace_id: str) -> None:
        """Remove all checkpoints of the workspace."""
        shutil.rmtree(self._folder / workspace_id, ignore_errors=True)

    def _read(self, workspace_id: str) -> list[Checkpoint]:
        try:
            records = json.loads((self._folder / workspace_id / "kept.json").read_text())
            found = [Checkpoint(CheckpointId(**one.pop("id")), **one) for one in records]
        except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return []
        return [one for one in found if self.file(workspace_id, one).exists()]

    def _write(self, workspace_id: str, found: list[Checkpoint]) -> None:
        file = self._folder / workspace_id / "kept.json"
        atomic.write(file, json.dumps([asdict(one) for one in found]).encode(), durable=True)


def hash_of(content: IO[bytes], size: int) -> str:
    """Return Git's hash of a blob, which every job that has Git can compute."""
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    while data := content.read(1 << 20):
        digest.update(data)
    return digest.hexdigest()
