"""Opens the state store for one command that only reads: no asyncio, no service."""

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
    """Open the state store for reading, and print its notices at the end (a damaged store was restored)."""
    reader = Reader(paths)
    try:
        yield reader
    finally:
        for notice in reader.notices:
            print_stderr(f"wsdash: {notice}")
        reader.close()


def unknown_workspace(name: str, paths: Paths) -> UserError:
    """Return the error for an unknown name, with a similar name that exists in the hint."""
    import difflib

    with reading(paths) as reader:
        names = [row.workspace.name for row in reader.workspaces(time.time())]
    near = difflib.get_close_matches(name, names, 1, 0.5)
    if near:
        hint = f"Did you mean {near[0]}?"
    elif names:
        hint = "`wsdash list` shows all workspaces."
    else:
        hint = "No workspace exists yet: `wsdash create SOURCE` creates one."
    return UserError(f"there is no workspace {name}", hint, NOT_FOUND)
