"""A tar as a stream of members: reads strictly, writes pax (POSIX.1-2017, `pax`, section "Extended
Description").

`tarfile` parses single header blocks only. Its own reading loop treats damage in the middle as the end of the
archive, and keeps every header and member in memory, the sizes of which an untrusted archive decides.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from wsdash.backend.archive import ArchiveError
from wsdash.backend.archive.streams import ByteSource

BLOCK = 512
END = bytes(2 * BLOCK)
"""Two blocks of zeros end a tar."""
MOST_HEADER = 64 * 1024
"""The longest extended header, in bytes: enough for two paths of the greatest length."""
MOST_MEMBERS = 4_000_000

_ZEROS = bytes(BLOCK)
_ENCODING, _ERRORS = "utf-8", "surrogateescape"
_TYPES = {
    "file": tarfile.REGTYPE,
    "folder": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
}
_KINDS = {value: key for key, value in _TYPES.items()} | {tarfile.AREGTYPE: "file"}
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_LONG = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
_SECONDS = re.compile(r"(-?)(\d{1,18})(?:\.(\d{1,18}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Member:
    """One member as read from the archive, not checked yet.

    `kind` is `file`, `folder`, `symlink`, `hardlink` or `special` (devices and all others); `target` is where a
    link points, `size` the bytes of a file.
    """

    path: str
    kind: str
    mode: int = 0o644
    mtime_ns: int = 0
    size: int = 0
    target: str = ""


class Content:
    """The bytes of one member, to be read before the next member is requested."""

    def __init__(self, source: ByteSource, size: int) -> None:
        self._source = source
        self._left = size
        self._padding = -size % BLOCK

    def read(self, limit: int) -> bytes:
        """Read at most `limit` bytes; none at the end. Raises ArchiveError when the archive ends before."""
        data = self._source.read(min(limit, self._left))
        if not data and self._left and limit:
            raise _cut_off()
        self._left -= len(data)
        return data

    def skip(self) -> None:
        """Skip to the start of the next member."""
        while self._left:
            self.read(MOST_HEADER)
        exactly(self._source, self._padding)
        self._padding = 0


def read_members(source: ByteSource) -> Iterator[tuple[Member, Content]]:
    """Yield the members up to the archive's end mark. Raises ArchiveError for a damaged, truncated or foreign
    format.
    """
    more: dict[str, str] = {}
    count = 0
    while (block := exactly(source, BLOCK)) != _ZEROS:
        count += 1
        if count > MOST_MEMBERS:
            raise ArchiveError(f"the archive has more than {MOST_MEMBERS:,} members")
        try:
            info = tarfile.TarInfo.frombuf(block, _ENCODING, _ERRORS)
        except (tarfile.TarError, ValueError) as error:
            raise ArchiveError(f"the archive is damaged or is not a tar: {error}") from error
        if info.type in (*_PAX, *_LONG, tarfile.XGLTYPE):
            more |= _extended(info, source)
            continue
        member = _member(info, more)
        more = {}
        content = Content(source, member.size)
        yield member, content
        content.skip()


def header(member: Member) -> bytes:
    """Return the member's header; a file's `size` bytes follow it, then `padding(size)`."""
    info = tarfile.TarInfo(member.path)
    info.type = _TYPES[member.kind]
    info.mode, info.size, info.linkname = member.mode, member.size, member.target
    info.mtime, fraction = divmod(max(0, member.mtime_ns), 10**9)
    if fraction:
        info.pax_headers = {"mtime": f"{info.mtime}.{fraction:09d}"}
    return info.tobuf(tarfile.PAX_FORMAT, _ENCODING, _ERRORS)


def padding(size: int) -> bytes:
    """Return the zero bytes that fill a member's last block."""
    return bytes(-size % BLOCK)


def exactly(source: ByteSource, size: int) -> bytes:
    """Read exactly `size` bytes. Raises ArchiveError when the archive ends before."""
    data = b""
    while len(data) < size:
        piece = source.read(size - len(data))
        if not piece:
            raise _cut_off()
        data += piece
    return data


def _cut_off() -> ArchiveError:
    return ArchiveError("the archive is incomplete: it ends before its end mark")


def _extended(info: tarfile.TarInfo, source: ByteSource) -> dict[str, str]:
    """Parse an extended header, which describes the member after it."""
    if not 0 <= info.size <= MOST_HEADER:
        raise ArchiveError(f"the archive has a header of {info.size} bytes; the limit is {MOST_HEADER}")
    data = exactly(source, info.size)
    exactly(source, -info.size % BLOCK)
    if info.type == tarfile.XGLTYPE:  # describes the whole archive, such as its commit id
        return {}
    if info.type in _LONG:
        return {_LONG[info.type]: _text(data.partition(b"\0")[0])}
    return _records(data)


def _records(data: bytes) -> dict[str, str]:
    """Parse a pax header into its records, `LENGTH KEY=VALUE\\n`, where the length counts the whole record."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 8)
        digits = data[at:space] if space > at else b""
        end = at + int(digits) if digits.isdigit() else 0
        record = data[space + 1 : end]
        if not space < end <= len(data) or not record.endswith(b"\n") or b"=" not in record:
            raise ArchiveError("the archive is damaged: a pax header is unreadable")
        key, _, value = record[:-1].partition(b"=")
        found[_text(key)] = _text(value)
        at = end
    return found


def _member(info: tarfile.TarInfo, more: dict[str, str]) -> Member:
    path = more.get("path", info.name)
    kind = _KINDS.get(info.type, "special")
    if any(key.startswith("GNU.sparse.") for key in more):
        kind = "special"
    size = _size(more["size"], path) if "size" in more else info.size
    if size < 0:
        raise ArchiveError(f"the archive is damaged: {path!r} has a size below zero")
    return Member(
        path=path,
        kind=kind,
        mode=info.mode,
        mtime_ns=_nanoseconds(more["mtime"], path) if "mtime" in more else int(info.mtime) * 10**9,
        # Links and folders have no content, whatever their header says.
        size=size if kind in ("file", "special") else 0,
        target=more.get("linkpath", info.linkname),
    )


def _size(text: str, path: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise ArchiveError(f"the archive is damaged: {path!r} has no readable size")
    return int(text)


def _nanoseconds(text: str, path: str) -> int:
    match = _SECONDS.fullmatch(text)
    if match is None:
        raise ArchiveError(f"the archive is damaged: {path!r} has no readable time")
    sign, whole, fraction = match.groups()
    value = int(whole) * 10**9 + int((fraction or "")[:9].ljust(9, "0"))
    return -value if sign else value


def _text(data: bytes) -> str:
    return data.decode(_ENCODING, _ERRORS)
