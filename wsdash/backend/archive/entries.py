"""Checks members of an untrusted archive before they become files of a workspace. Pure.

The rules are those of Python's `data` filter for tars (PEP 706), except for links: a repository may hold a
symbolic link to anywhere, so it is kept as a link, and files must never be written through one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wsdash.backend.archive import ArchiveError
from wsdash.backend.archive.tar import Member

FOLDERS = ("projects", "home", "volumes")
"""The folders of a workspace that are exported. A provider mounts them, so they must be folders, not links."""
LONGEST_PATH = 4095
"""In bytes: a longer path cannot be given to a system call (PATH_MAX is 4096 with the final NUL)."""

_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LAST_SECOND = 2**33


@dataclass(frozen=True, slots=True)
class Entry:
    """A checked member. `parts` is its path below the workspace's folder, never empty.

    `target` is the text of a symbolic link; `link` is the path of a hard link's file, below the
    workspace's folder too. `mode` has permissions only.
    """

    parts: tuple[str, ...]
    kind: str
    mode: int
    mtime_ns: int
    size: int = 0
    target: str = ""
    link: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The path below the workspace's folder, parts joined by `/`."""
        return "/".join(self.parts)


def entry_of(member: Member) -> Entry | None:
    """Return the member as a checked entry; None for the archive's root itself, which needs no file.

    Raises ArchiveError for a member that would lie outside the folder, that is not a file, folder or link, or that
    would
    replace a folder which a provider needs.
    """
    if member.kind not in ("file", "folder", "symlink", "hardlink"):
        raise ArchiveError(f"{_shown(member.path)} is not a file, folder or link (a device, for example)")
    parts = _parts(member.path)
    if not parts and member.kind == "folder":
        return None
    _check_place(parts, member)
    if member.kind == "symlink" and (not member.target or "\0" in member.target):
        raise ArchiveError(f"{_shown(member.path)} is a link that points nowhere")
    link = _parts(member.target) if member.kind == "hardlink" else ()
    if member.kind == "hardlink":
        _check_place(link, member)
    return Entry(
        parts=parts,
        kind=member.kind,
        mode=member.mode & 0o777,
        mtime_ns=min(max(member.mtime_ns, 0), _LAST_SECOND * 10**9),
        size=member.size,
        target=member.target if member.kind == "symlink" else "",
        link=link,
    )


def is_too_long(path: str) -> bool:
    """Whether the path is too long to be read back from an archive."""
    return len(path.encode("utf-8", "surrogateescape")) > LONGEST_PATH


def _parts(path: str) -> tuple[str, ...]:
    try:
        too_long = is_too_long(path)
    except UnicodeEncodeError:
        raise ArchiveError(f"{_shown(path)} is not a valid file name") from None
    if too_long:
        raise ArchiveError(f"{_shown(path[:100])}... is longer than {LONGEST_PATH} bytes")
    if path.startswith("/"):
        raise ArchiveError(f"{_shown(path)} is an absolute path, and would lie outside of the workspace")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if ".." in parts:
        raise ArchiveError(f"{_shown(path)} would lie outside of the workspace")
    if "\0" in path:
        raise ArchiveError(f"{_shown(path)} is not a valid file name")
    return parts


def _check_place(parts: tuple[str, ...], member: Member) -> None:
    if not parts or parts[0] not in FOLDERS:
        raise ArchiveError(f"{_shown(member.path)} is in none of {', '.join(FOLDERS)}")
    mounted = 2 if parts[0] == "volumes" else 1
    if len(parts) <= mounted and member.kind != "folder":
        raise ArchiveError(f"{_shown(member.path)} must be a folder, but is a {member.kind}")
    if parts[0] == "volumes" and len(parts) > 1 and not _VOLUME.fullmatch(parts[1]):
        raise ArchiveError(f"{_shown(member.path)} is in a volume with an invalid name")


def _shown(path: str) -> str:
    return repr(path)
