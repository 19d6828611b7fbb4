"""Writes a crash report for developers: a traceback in a private file.

Values of variables are left out, because a token may be among them; the terminal shows only the error's type and
the file's path.
"""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path

from wsdash.paths import make_folder

MOST_REPORTS = 20


def report(error: BaseException, folder: Path, now: float) -> Path | None:
    """Write the traceback without locals, mode 0600, and remove the oldest report. Return None if that fails."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    text = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())
    try:
        make_folder(folder)
        path = _unused(folder, f"{stamp}-{os.getpid()}")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", errors="backslashreplace") as file:
            file.write(text)
        for old in sorted(folder.glob("*.txt"))[:-MOST_REPORTS]:
            old.unlink(missing_ok=True)
    except OSError:
        return None
    return path


def words(error: BaseException, path: Path | None) -> str:
    """Return the sentence for the terminal. It never contains the error's own text, which may contain secrets."""
    where = f"The report is in {path}." if path else "No report could be written."
    return f"wsdash has failed ({type(error).__name__}). {where} Your workspaces keep running."


def _unused(folder: Path, stem: str) -> Path:
    number = 0
    while (path := folder / f"{stem}-{number}.txt").exists():
        number += 1
    return path
