"""The checkpoints that are kept on this machine: for each workspace the newest, whole or not at all.

FOLDER/WORKSPACE/kept.json     which one is kept, and which are superseded
                 3.7.bundle    its bytes, as the job sent them: nothing here reads what is in them

What a job sends is not trusted: it takes a bounded share of the disk, and its bytes must have the hash that it named.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from wsdash.backend.system import atomic
from wsdash.paths import make_folder

NO_CHECKPOINT = "none"
"""The answer to a job that asks for one where none is kept."""
MOST_BYTES = 1 << 30
SHARE = 0.1
"""Of the free disk, what one checkpoint may take."""
SUPERSEDED_KEPT = 3
"""Checkpoints that did not fit into a later job, and stay until there are more of them."""


@dataclass(frozen=True, slots=True, order=True)
class CheckpointId:
    """The attempt's number, and which of its checkpoints: the greater is the newer."""

    number: int = 0
    count: int = 0

    def __str__(self) -> str:
        return f"{self.number}.{self.count}"

    @classmethod
    def of(cls, text: str) -> CheckpointId:
        """Raises ValueError."""
        number, dot, count = text.partition(".")
        if not (dot and number.isascii() and count.isascii() and number.isdecimal() and count.isdecimal()):
            raise ValueError(f"{text!r} is no checkpoint's id")
        return cls(int(number[:9]), int(count[:9]))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One that is or was to be kept. `hash` is Git's of its bytes; `at` is on the job's clock."""

    id: CheckpointId
    at: int
    size: int
    hash: str


class NoRoom(Exception):
    """It would take too much of this machine's disk."""


class CheckpointStore:
    """Everything here blocks. One process at a time writes: the one that holds the lease."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self, workspace_id: str) -> Checkpoint | None:
        found = self._read(workspace_id)
        return found[0] if found else None

    def file(self, workspace_id: str, checkpoint: Checkpoint) -> Path:
        return self._folder / workspace_id / f"{checkpoint.id}.bundle"

    def superseded(self, workspace_id: str) -> list[Path]:
        """Files of those that a later job did not build on."""
        return [self.file(workspace_id, one) for one in self._read(workspace_id)[1:]]

    def draft(self, workspace_id: str, one: Checkpoint) -> IO[bytes]:
        """A file for the bytes of the next one. Raises `NoRoom`, OSError."""
        folder = self._folder / workspace_id
        make_folder(folder)
        for left in folder.glob("draft-*"):
            left.unlink(missing_ok=True)
        if one.size > MOST_BYTES or one.size > shutil.disk_usage(folder).free * SHARE:
            raise NoRoom(f"{one.size} bytes")
        draft = folder / f"draft-{one.id}"
        return os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b")

    def keep(self, workspace_id: str, one: Checkpoint, base: CheckpointId, draft: IO[bytes]) -> None:
        """The draft is the newest from now on, and the one before is removed.

        But one that this one does not build on, though it is newer than its base, is kept as superseded: a job that
        could not be given it has gone on without it. Raises ValueError for other bytes than were named, or one that
        is not newer than what is kept; and OSError.
        """
        draft.flush()
        os.fsync(draft.fileno())
        draft.seek(0)
        if hash_of(draft, one.size) != one.hash:
            raise ValueError("the checkpoint did not come whole")
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
    """Git's own hash of a blob, which every job that has Git can tell."""
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    while data := content.read(1 << 20):
        digest.update(data)
    return digest.hexdigest()
