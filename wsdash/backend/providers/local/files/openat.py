"""Opens folders step by step below another one with untrusted content: no symbolic link is followed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence


def open_below(top: int, parts: Sequence[str], *, make: bool = False) -> int:
    """Return a descriptor of the folder at `parts` below the open folder `top`; `make` creates missing folders.

    Raises OSError: FileNotFoundError, or NotADirectoryError for a link or a file in the path.
    """
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=top)
    for part in parts:
        try:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=here)
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
        finally:
            os.close(here)
        here = below
    return here
