"""The code that a relay runs, by which an upgrade is noticed, and the rule when to replace it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wsdash import __version__

VERSION = 4
"""The relay's version. Raise it when the relay must do more than an older one that still runs, and when its modules
move, because a running one could not load them any more."""
_ROOM = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Needed:
    """The relay as it should be: its settings, and the code that a new one would run.

    `package` is the folder of the installation, `code` a mark of its files.
    """

    bind: str
    port: int
    host: str
    package: str
    code: str
    release: str = __version__
    version: int = VERSION


def needed(bind: str, port: int, host: str) -> Needed:
    """Return the relay with these settings and the code that is on the disk now."""
    return Needed(bind, port, host, str(_ROOM), code_mark(_ROOM))


def code_mark(room: Path) -> str:
    """Return a text that changes when a file below the folder is replaced, for example by an upgrade. Blocks."""
    mark = hashlib.sha256()
    for file in sorted(room.rglob("*.py")):
        try:
            found = file.stat()
        except OSError:
            continue
        mark.update(f"{file}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return mark.hexdigest()[:16]


def why_replace(
    about: Mapping[str, object], want: Needed, is_there: Callable[[str], bool] = os.path.isdir
) -> str:
    """Return the reason to replace the relay that describes itself by `about`; "" if there is none.

    Two installations with one state do not replace each other's relay in turn: the older release gives way.
    """
    version = about.get("version", 1)
    if not isinstance(version, int) or version < want.version:
        return "it is of an older version"
    package = str(about.get("package", ""))
    if package == want.package:
        if about.get("code") != want.code:
            return "its code has changed"
    elif not is_there(package):
        return "its code was removed"
    elif _numbers(str(about.get("release", ""))) < _numbers(want.release):
        return "it is of an older version"
    if (about.get("bind"), about.get("port"), about.get("host")) != (want.bind, want.port, want.host):
        return "its settings have changed"
    return ""


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".") if part.isdigit())
