"""Saves a workspace's unsaved work on this machine before a delete: Git bundles, and tars of other files.

A program in the workspace's job or in a sandbox creates them and verifies that they restore everything; this process
does not open them. `restore.sh`, which wsdash writes next to them, restores them into a clone.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from wsdash.backend.errors import UserError
from wsdash.backend.job import shell
from wsdash.backend.providers.types import CheckoutQuery
from wsdash.backend.store.checkpoint_files import Checkpoint
from wsdash.paths import make_folder
from wsdash.sanitize import one_line

_BEGINNING = b"wsdash-kept 1\n"
_END = b"\nwsdash-kept\n"
_FILE = re.compile(
    r"file (contents|work\.bundle|(?:repository|beside)-\d{1,4}\.bundle|(?:files|beside)\.tar)"
    r" (\d{1,10}) ([0-9a-f]{64})"
)
_STATE = re.compile(r"state ([0-9a-f]{64})")
_LONGEST_HEAD = 1 << 18


def question(project: str) -> CheckoutQuery:
    """Return the query for a workspace whose project is in this folder below the projects folder."""
    function = (
        f"restore_script() {{\ncat <<'END-OF-RESTORE'\n{shell.script('restore_work.sh')}END-OF-RESTORE\n}}\n"
    )
    program = function + shell.program("save_work.sh")
    return CheckoutQuery(program.encode(), ("pack", project), most=(1 << 30) + _LONGEST_HEAD, timeout_s=900.0)


@dataclass(frozen=True, slots=True)
class SavedWork:
    """The folder with the saved work; None if there was nothing to save.

    `checkpoint` is the last one of a job that no longer answers, taken at `at`. Otherwise `script` restores the
    work into a clone of the project; with `has_other_files` it restores files from outside the project into another
    folder. `state` is the hash of the workspace's files when they were packed, as in `UnsavedWork`.
    """

    folder: Path | None = None
    script: Path | None = None
    has_project: bool = False
    has_other_files: bool = False
    checkpoint: Path | None = None
    at: float = 0.0
    state: str = ""


def keep(output: bytes, name: str, folder: Path, now: float) -> SavedWork:
    """Write the answer to `question` into a new folder. Raises `UserError` if it is incomplete."""
    head, data_line, data = output.partition(b"\ndata\n")
    lines = head[:_LONGEST_HEAD].decode("utf-8", "replace").split("\n")
    if not output.startswith(_BEGINNING[:-1]):
        raise UserError(
            f"the work of {name} cannot be saved: its files are not accessible",
            "Start it and try again, or delete it without --keep-work.",
        )
    problems = [line.partition(" ")[2].replace("\001", "\n") for line in lines if line.startswith("problem ")]
    if problems:
        raise UserError(
            f"the work of {name} cannot be saved, so it is not deleted: {one_line(problems[0])}",
            "Export all of its files with `wsdash export`, or delete it without --keep-work.",
        )
    state = ""
    if len(lines) > 1 and (state_line := _STATE.fullmatch(lines[1])):
        state = state_line[1]
        del lines[1]
    found = [_FILE.fullmatch(line) for line in lines[1:]]
    sizes = [(match[1], int(match[2]), match[3]) for match in found if match]
    if not data_line or None in found or data[sum(size for _, size, _ in sizes) :] != _END:
        raise UserError(
            f"the work of {name} arrived incomplete, so it is not deleted",
            "Try again, or `wsdash export` it, or push from inside it (`wsdash ssh`).",
        )
    if not sizes:
        return SavedWork(state=state)
    parts: dict[str, bytes] = {}
    begin = 0
    for file, size, digest in sizes:
        parts[file] = data[begin : begin + size]
        begin += size
        if hashlib.sha256(parts[file]).hexdigest() != digest:
            raise UserError(f"the work of {name} arrived damaged, so it is not deleted", "Try again.")
    place = _place(folder, name, now)
    _write_all(place, {**parts, "restore.sh": shell.script("restore_work.sh").encode()}, name)
    other_files = [file for file in parts if file.startswith("beside")]
    return SavedWork(
        place,
        place / "restore.sh",
        has_project=len(parts) > len(other_files) + ("contents" in parts),
        has_other_files=bool(other_files),
        state=state,
    )


def keep_checkpoint(one: Checkpoint, file: Path, name: str, folder: Path, now: float) -> SavedWork:
    """Copy the last checkpoint into a new folder. Raises `UserError`."""
    place = _place(folder, name, now)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(f"the checkpoint of {name} cannot be read: {error}") from error
    _write_all(place, {"checkpoint.bundle": data}, name)
    return SavedWork(place, checkpoint=place / "checkpoint.bundle", at=one.at)


def _place(folder: Path, name: str, now: float) -> Path:
    """Return the path of a folder that does not exist yet."""
    first = folder / f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}"
    place, number = first, 1
    while place.exists():
        number += 1
        place = first.with_name(f"{first.name}-{number}")
    return place


def _write_all(place: Path, parts: dict[str, bytes], name: str) -> None:
    """Write all parts durably into a new folder. Raises `UserError`."""
    try:
        make_folder(place.parent)
        place.mkdir(mode=0o700)
        for file, data in parts.items():
            descriptor = os.open(place / file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
        for above in (place, place.parent):
            descriptor = os.open(above, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)  # the original is about to be deleted
            finally:
                os.close(descriptor)
    except OSError as error:
        raise UserError(f"the work of {name} cannot be written: {error}", "Free some disk space.") from error
