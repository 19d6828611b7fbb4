"""The state store, opened for reading for the length of one command: no asyncio, no service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from wsdash.backend.errors import UserError
from wsdash.backend.store.reader import Reader
from wsdash.commands.console import NOT_FOUND, print_stderr
from wsdash.paths import Paths


@contextmanager
def reading(paths: Paths) -> Iterator[Reader]:
    """Prints its notices at the end, such as that a damaged store was restored."""
    reader = Reader(paths)
    try:
        yield reader
    finally:
        for notice in reader.notices:
            print_stderr(f"wsdash: {notice}")
        reader.close()


def unknown_workspace(name: str, paths: Paths) -> UserError:
    """The error for a name that no workspace has, with the nearest one that some workspace has."""
    import difflib

    with reading(paths) as reader:
        names = [row.workspace.name for row in reader.workspaces(time.time())]
    near = difflib.get_close_matches(name, names, 1, 0.5)
    if near:
        hint = f"Did you mean {near[0]}?"
    elif names:
        hint = "`wsdash list` shows those that there are."
    else:
        hint = "There is none: `wsdash create SOURCE` makes one."
    return UserError(f"there is no workspace {name}", hint, NOT_FOUND)
