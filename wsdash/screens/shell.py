"""Lend the terminal to a program, and take it back intact."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from wsdash.backend.system.terminal import TerminalProgram


class Lender(Protocol):
    """The app, which ends the program that has the terminal before it exits by a signal."""

    program: TerminalProgram | None

    def terminal_gone(self) -> None:
        """Exit: there is no terminal to come back to."""

    def batch_update(self) -> AbstractContextManager[None]:
        """Return a context without repaints."""

    def suspend(self) -> AbstractContextManager[None]:
        """Return a context in which the terminal is restored for another program."""


async def lend_terminal(
    app: Lender, argv: Sequence[str], env: Mapping[str, str], cwd: str | None, notice: str
) -> int:
    """Run a program on the terminal until it ends, and return its exit code.

    The event loop keeps running, and with it the reconciler. Nothing is painted meanwhile. If the terminal is gone,
    the program is ended, and then the app.
    """
    with app.batch_update(), _left_to_the_program(), app.suspend():
        print(f"wsdash: {notice}", flush=True)
        try:
            program = app.program = await TerminalProgram.start(argv, env, cwd)
        except OSError as error:
            print(f"wsdash: {argv[0]}: {error.strerror}", flush=True)
            return 127
        try:
            return await program.wait()
        finally:
            app.program = None
            if program.is_terminal_gone:
                app.terminal_gone()


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
