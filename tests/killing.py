"""Runs work in a child that is killed just before its N-th change of a file system, so that tests try every N."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator

CHANGES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.link", "os.symlink"})
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def killed_at_each_change(work: Callable[[], object], prepare: Callable[[], object]) -> Iterator[int]:
    """Yields after each child that was killed, with N; ends when one came to its end.

    `prepare` is called before each.
    """
    number = 0
    while True:
        prepare()
        if not _dies_at(number, work):
            return
        yield number
        number += 1


def _dies_at(number: int, work: Callable[[], object]) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of a fork beside threads, which the child has not
        child = os.fork()
    if child == 0:
        status = 1
        try:
            sys.addaudithook(_Killer(number))
            work()
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(ended)
    assert code in (0, -signal.SIGKILL), f"the child has failed at change {number}"
    return code != 0


class _Killer:
    def __init__(self, left: int) -> None:
        self._left = left

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        flags = arguments[2] if event == "open" and len(arguments) == 3 else 0
        if event in CHANGES or (isinstance(flags, int) and flags & _WRITES):
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1
