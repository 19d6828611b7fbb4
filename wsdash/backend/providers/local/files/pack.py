"""Writes a workspace's folder as a tar, also while a job changes it. Symbolic links are never followed:
a job may replace a folder by one at any moment, and the target is not one of the workspace's files."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from wsdash.backend.archive import entries, tar
from wsdash.backend.archive.streams import CHUNK, ByteSink
from wsdash.backend.archive.tar import Member
from wsdash.backend.providers.errors import PermanentError
from wsdash.backend.providers.local.files.openat import open_below
from wsdash.backend.providers.types import PackReport

Parts = tuple[str, ...]
_SWAPPED = (errno.ELOOP, errno.ENOTDIR, errno.ENOENT, errno.ENXIO)
"""Errors of opening an entry that was removed or replaced since it was listed."""


def pack(folder: Path, sink: ByteSink) -> PackReport:
    """Write the folder. Raises PermanentError for an unreadable file, OSError for other errors of the files."""
    try:
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:  # never launched
        sink.write(tar.END)
        return PackReport()
    try:
        packer = _Packer(top, sink)
        for name in entries.FOLDERS:
            packer.pack_tree((name,))
    finally:
        os.close(top)
    sink.write(tar.END)
    return PackReport(tuple(packer.skipped), tuple(packer.changed))


class _Packer:
    def __init__(self, top: int, sink: ByteSink) -> None:
        self._top = top
        self._sink = sink
        self._linked: dict[tuple[int, int], str] = {}
        self.skipped: list[str] = []
        self.changed: list[str] = []

    def pack_tree(self, parts: Parts) -> None:
        """Write a folder with its contents, parents first. Not recursive: a job may create trees of any depth."""
        waiting = [parts]
        while waiting:
            parts = waiting.pop()
            path = "/".join(parts)
            try:
                folder = open_below(self._top, parts)
            except OSError as error:
                if len(parts) > 1 or not isinstance(error, FileNotFoundError):
                    self._trouble(error, path)
                continue
            try:
                found = os.fstat(folder)
                self._write(Member(path, "folder", stat.S_IMODE(found.st_mode), found.st_mtime_ns))
                inside = [(*parts, name) for name in sorted(os.listdir(folder))]  # noqa: PTH208
                below = [entry for entry in inside if self._pack_entry(folder, entry[-1], entry)]
                waiting += reversed(below)
            finally:
                os.close(folder)

    def _pack_entry(self, folder: int, name: str, parts: Parts) -> bool:
        """Write one entry of an open folder. Return True for a folder, whose contents are still to be written."""
        path = "/".join(parts)
        if entries.is_too_long(path):
            self.skipped.append(path)
            return False
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                return True
            if stat.S_ISLNK(found.st_mode):
                target = os.readlink(name, dir_fd=folder)
                self._write(Member(path, "symlink", 0o777, found.st_mtime_ns, target=target))
            elif stat.S_ISREG(found.st_mode):
                self._pack_file(folder, name, path)
            else:
                self.skipped.append(path)
        except OSError as error:
            self._trouble(error, path)
        return False

    def _pack_file(self, folder: int, name: str, path: str) -> None:
        # Non-blocking: a regular file may have become a named pipe since it was listed.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=folder)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                self.changed.append(path)
                return
            mode, identity = stat.S_IMODE(found.st_mode), (found.st_dev, found.st_ino)
            if identity in self._linked:
                target = self._linked[identity]
                self._write(Member(path, "hardlink", mode, found.st_mtime_ns, target=target))
                return
            self._write(Member(path, "file", mode, found.st_mtime_ns, found.st_size))
            self._copy(descriptor, found.st_size)
            if found.st_nlink > 1:
                self._linked[identity] = path
            after = os.fstat(descriptor)
            if (after.st_size, after.st_mtime_ns) != (found.st_size, found.st_mtime_ns):
                self.changed.append(path)
        finally:
            os.close(descriptor)

    def _copy(self, descriptor: int, size: int) -> None:
        """Copy as many bytes as announced: if the file was truncated meanwhile, fill up with zeros."""
        left = size
        while left:
            data = os.read(descriptor, min(CHUNK, left)) or bytes(min(CHUNK, left))
            self._sink.write(data)
            left -= len(data)
        self._sink.write(tar.padding(size))

    def _write(self, member: Member) -> None:
        self._sink.write(tar.header(member))

    def _trouble(self, error: OSError, path: str) -> None:
        if isinstance(error, PermissionError):
            raise PermanentError(
                f"{path} cannot be read, and an archive without it would be incomplete",
                "Change its mode or owner; for another user's file, inside the workspace (`wsdash ssh`).",
            ) from error
        if error.errno not in _SWAPPED:
            raise error
        self.changed.append(path)
