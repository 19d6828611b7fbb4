"""The cache of a job, as `shells/abstract.go` and the runner's helper do it with files on this machine."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Say = Callable[[str], None]


def restore(entry: dict[str, Any], directory: Path, folder: Path, say: Say) -> None:
    """Unpack the first archive that is there. A failure is told and is none of the job's."""
    if entry["policy"] not in ("pull", "pull-push"):
        return
    for key in (entry["key"], *entry["fallback_keys"]):
        say(f"Checking cache for {key}...")
        say("No URL provided, cache will not be downloaded from shared cache server.")
        file = _file(folder, key)
        if not file.exists():
            say("WARNING: file does not exist")
            continue
        try:
            with tarfile.open(file) as archive:
                # Python has it from 3.11.4 on, which Debian 12 is older than.
                archive.extraction_filter = getattr(tarfile, "tar_filter", None)
                archive.extractall(directory)
            say("Successfully extracted cache")
        except (OSError, tarfile.TarError):
            say("Failed to extract cache")
        return


def save(entry: dict[str, Any], directory: Path, folder: Path, say: Say) -> None:
    """Archive the paths, unless none of their files is newer than the archive."""
    if entry["policy"] not in ("push", "pull-push"):
        return
    say(f"Creating cache {entry['key']}...")
    found = [path for pattern in entry["paths"] for path in _matches(directory, pattern)]
    if not found:
        say("No files to cache.")
        return
    file = _file(folder, entry["key"])
    if file.exists() and all(path.lstat().st_mtime <= file.stat().st_mtime for path in found):
        say("Archive is up to date!")
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".new")
    with tarfile.open(draft, "w") as archive:
        for path in found:
            archive.add(path, path.relative_to(directory), recursive=False)
    draft.replace(file)
    say("Created cache")


def _matches(directory: Path, pattern: str) -> list[Path]:
    start = directory / pattern.rstrip("/")
    if start.is_dir():
        return [start, *sorted(start.rglob("*"))]
    return [start] if start.exists() else []


def _file(folder: Path, key: str) -> Path:
    return folder / re.sub(r"[^A-Za-z0-9._-]", "_", key) / "cache.tar"
