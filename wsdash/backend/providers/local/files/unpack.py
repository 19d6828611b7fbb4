"""Creates the files of an untrusted tar in a new folder. Each is opened below the folder's own descriptor, step
by step without following links, and must be new, so that nothing outside is ever written."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from wsdash.backend.archive import ArchiveError
from wsdash.backend.archive.entries import Entry, entry_of
from wsdash.backend.archive.streams import CHUNK, ByteSource
from wsdash.backend.archive.tar import Content, read_members
from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.local.files.openat import open_below

SPARE = 16 * 1024 * 1024
"""Bytes of the disk that an import leaves free, so that the state store and running jobs can continue."""
_BLOCK = 4096
_IMPOSSIBLE = (errno.EEXIST, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL)


def unpack(folder: Path, source: ByteSource) -> None:
    """Unpack the tar into `folder`, which is empty and private.

    Raises ArchiveError for an invalid tar, ProviderError if it needs more space than there is,
    OSError for other errors of the disk.
    """
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    with contextlib.closing(_Unpacker(top, _free_bytes(top) - SPARE)) as unpacker:
        for member, content in read_members(source):
            entry = entry_of(member)
            if entry is not None:
                unpacker.add(entry, content)
        unpacker.finish_folders()


def _free_bytes(descriptor: int) -> int:
    disk = os.fstatvfs(descriptor)
    return disk.f_bavail * disk.f_frsize


class _Unpacker:
    def __init__(self, top: int, room: int) -> None:
        self._top = top
        self._free = self._room = room
        self._folders: dict[tuple[str, ...], Entry] = {}
        self._parent: tuple[tuple[str, ...], int] | None = None
        """The folder of the last entry, still open: consecutive entries are mostly in the same folder."""

    def close(self) -> None:
        self._leave()
        os.close(self._top)

    def add(self, entry: Entry, content: Content) -> None:
        self._take_room(entry)
        try:
            if entry.kind == "folder":
                self._folders[entry.parts] = entry
                self._enter(entry.parts)
                return
            parent, name = self._enter(entry.parts[:-1]), entry.parts[-1]
            if entry.kind == "file":
                _make_file(parent, name, entry, content)
            elif entry.kind == "symlink":
                os.symlink(entry.target, name, dir_fd=parent)
                os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)
            else:
                self._make_hard_link(parent, name, entry)
        except OSError as error:
            if error.errno not in _IMPOSSIBLE:
                raise
            raise ArchiveError(
                f"{entry.path!r} cannot be created: its path is taken, or it would be written"
                f" through a link ({(error.strerror or '').lower()})"
            ) from error

    def finish_folders(self) -> None:
        """Set modes and times, deepest folders first: a folder's mode may forbid changes in it."""
        self._leave()
        for parts, entry in sorted(self._folders.items(), key=lambda item: -len(item[0])):
            folder = open_below(self._top, parts)
            try:
                # A provider must be able to enter the folders that it mounts.
                os.fchmod(folder, entry.mode | (0o700 if len(parts) == 1 else 0))
                os.utime(folder, ns=(entry.mtime_ns, entry.mtime_ns))
            finally:
                os.close(folder)

    def _make_hard_link(self, parent: int, name: str, entry: Entry) -> None:
        try:
            source = open_below(self._top, entry.link[:-1])
            try:
                os.link(entry.link[-1], name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
            finally:
                os.close(source)
        except (FileNotFoundError, PermissionError) as error:
            raise ArchiveError(
                f"{entry.path!r} is a link to a file that is not earlier in the archive"
            ) from error

    def _enter(self, parts: tuple[str, ...]) -> int:
        if self._parent is None or self._parent[0] != parts:
            folder = open_below(self._top, parts, make=True)
            self._leave()
            self._parent = (parts, folder)
        return self._parent[1]

    def _leave(self) -> None:
        if self._parent is not None:
            os.close(self._parent[1])
            self._parent = None

    def _take_room(self, entry: Entry) -> None:
        # An entry without bytes still takes some space.
        self._free -= max(1, -(-entry.size // _BLOCK)) * _BLOCK
        if self._free < 0:
            raise ProviderError(
                f"the archive needs more than the {max(0, self._room) // 1_000_000} MB that are free here",
                "Free some disk space.",
            )


def _make_file(parent: int, name: str, entry: Entry, content: Content) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=parent)
    try:
        while data := content.read(CHUNK):
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        os.fchmod(descriptor, entry.mode)
        os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
    finally:
        os.close(descriptor)
