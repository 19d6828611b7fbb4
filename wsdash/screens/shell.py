"""Lend the terminal to a program, and take it back intact."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Lender(Protocol):
    """The app, which sends a signal to exit to the process that has the terminal."""

    shell_process: int | None

    def batch_update(self) -> AbstractContextManager[None]:
        """Return a context without repaints."""

    def suspend(self) -> AbstractContextManager[None]:
        """Return a context in which the terminal is restored for another program."""


async def lend_terminal(
    app: Lender, argv: Sequence[str], env: Mapping[str, str], cwd: str | None, notice: str
) -> int:
    """Run a program on the terminal until it ends, and return its exit code.

    The event loop keeps running, and with it the reconciler. Nothing is painted meanwhile.
    """
    with app.batch_update(), _left_to_the_program(), app.suspend():
        print(f"wsdash: {notice}", flush=True)
        try:
            process = await asyncio.create_subprocess_exec(*argv, env=dict(env), cwd=cwd)
        except OSError as error:
            print(f"wsdash: {argv[0]}: {error.strerror}", flush=True)
            return 127
        app.shell_process = process.pid
        try:
            return await process.wait()
        finally:
            app.shell_process = None


@contextmanager
def _left_to_the_program() -> Iterator[None]:
    """Leave keys such as ctrl+c to the program. A handler, unlike ignoring, is not inherited by it."""
    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
