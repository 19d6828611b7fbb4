"""What only a workspace has, on the user's machine before it is deleted: a Git bundle of commits, and a patch.

The workspace's job, or a sandbox, makes both (its Git configuration may run anything); nothing of the checkout is
written, not even its object store. `git bundle` and `git apply` take them from here.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from wsdash.backend.errors import UserError
from wsdash.backend.kept_checkpoints import Checkpoint
from wsdash.backend.providers.base import Question

END = b"\nwsdash-kept\n"
_PROGRAM = rb"""
set -e
cd "$PROJECTS_ROOT/$1"
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' GIT_OPTIONAL_LOCKS=0
git rev-parse --git-dir >/dev/null
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
: >"$d/bundle"
stash=
! git rev-parse --quiet --verify refs/stash >/dev/null || stash=refs/stash
if [ -n "$stash" ] || [ -n "$(git rev-list --max-count=1 --branches --not --remotes)" ]; then
  git bundle create --quiet "$d/bundle" --branches $stash --not --remotes
fi
base=$(git rev-parse --quiet --verify HEAD || git hash-object -t tree /dev/null)
cp "$(git rev-parse --git-path index)" "$d/index" 2>/dev/null || :
mkdir "$d/objects"
objects=$(cd "$(git rev-parse --git-path objects)" && pwd)
export GIT_INDEX_FILE="$d/index" GIT_OBJECT_DIRECTORY="$d/objects" GIT_ALTERNATE_OBJECT_DIRECTORIES="$objects"
git -c core.fsmonitor=false add --all "$(git rev-parse --show-toplevel)"
git diff --cached --binary --no-ext-diff --no-color "$base" >"$d/patch"
echo "$(($(wc -c <"$d/bundle"))) $(($(wc -c <"$d/patch")))"
cat "$d/bundle" "$d/patch"
printf '\nwsdash-kept\n'
"""
"""Commits on branches that are on no remote, the newest stash, and all that is not committed or is untracked."""


def question(project: str) -> Question:
    return Question(_PROGRAM, (project,), most=1 << 30, timeout_s=300.0)


_SIZES = re.compile(rb"(\d{1,12}) (\d{1,12})\n")


@dataclass(frozen=True, slots=True)
class Kept:
    """The files that were made; None where there was nothing of the kind.

    `checkpoint` is the last one of a job that cannot be asked any more, as of `at`.
    """

    bundle: Path | None = None
    patch: Path | None = None
    checkpoint: Path | None = None
    at: float = 0.0


def keep(said: bytes, name: str, folder: Path, now: float) -> Kept:
    """Write what `question` was answered with into a new folder. Raises `UserError` where it is not all of it."""
    sizes = _SIZES.match(said)
    if sizes is None:
        raise UserError(
            f"the work of {name} cannot be kept: its checkout cannot be asked",
            "Start it, and try again; or delete it without --keep-work.",
        )
    first, second = int(sizes[1]), int(sizes[2])
    begin = sizes.end()
    if said[begin + first + second :] != END:
        raise UserError(
            f"the work of {name} did not come whole", "Try again, or push it from within (`wsdash ssh`)."
        )
    place = _place(folder, name, now)
    try:
        kept = Kept(
            _write(place / "work.bundle", said[begin : begin + first]),
            _write(place / "work.patch", said[begin + first : begin + first + second]),
        )
        os.sync()  # what it is a copy of is about to go
    except OSError as error:
        raise UserError(f"the work of {name} cannot be written: {error}", "Free some disk space.") from error
    return kept


def keep_checkpoint(one: Checkpoint, file: Path, name: str, folder: Path, now: float) -> Kept:
    """A copy of the last checkpoint in a new folder. Raises `UserError`."""
    try:
        copy = _write(_place(folder, name, now) / "checkpoint.bundle", file.read_bytes())
        os.sync()
    except OSError as error:
        raise UserError(f"the work of {name} cannot be written: {error}", "Free some disk space.") from error
    return Kept(checkpoint=copy, at=one.at)


def _place(folder: Path, name: str, now: float) -> Path:
    return folder / f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}"


def _write(file: Path, data: bytes) -> Path | None:
    if not data:
        return None
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
    return file
