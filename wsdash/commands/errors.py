"""The messages and exit codes of failed commands."""

from __future__ import annotations

import sqlite3
import time

from wsdash.backend.errors import UserError, WsdashError
from wsdash.backend.store.errors import DatabaseError, explain
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.commands.console import FAILED, print_stderr
from wsdash.commands.open_reader import unknown_workspace
from wsdash.config.settings import ConfigError
from wsdash.crash import report as write_report
from wsdash.crash import words
from wsdash.paths import PathError, Paths
from wsdash.sanitize import one_line, printable


def fail(error: BaseException, *, on_one_line: bool = False) -> int:
    """Print an error and its hint, and return the exit code.

    An unexpected error is written to a crash report with its stack, but without values.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    try:
        paths = Paths.from_environment()
    except PathError as problem:  # without a state folder no crash report can be written either
        return report(UserError(str(problem)))
    known = _known(error, paths)
    if known is not None:
        return report(known, on_one_line=on_one_line)
    print_stderr(words(error, write_report(error, paths.crash_reports, time.time())))
    return FAILED


def report(error: WsdashError, *, on_one_line: bool = False) -> int:
    """Print the error and its hint on standard error, and return the exit code.

    `on_one_line` is for programs that show only the last line, or each line separately.
    """
    if on_one_line:
        hint = f". {error.hint}" if error.hint else ""
        print_stderr(f"wsdash: {one_line(error.message)}{one_line(hint)}")
        return error.exit_code
    print_stderr(f"wsdash: {one_line(error.message)}")
    if error.hint:
        print_stderr(f"  {one_line(error.hint)}")
    for line in error.details:
        print_stderr(printable(line))
    return error.exit_code


def _known(error: BaseException, paths: Paths) -> WsdashError | None:
    """Return the error as one that the user can fix, None if it is not."""
    if isinstance(error, WsdashError):
        return error
    if isinstance(error, NoSuchWorkspace):
        return unknown_workspace(str(error), paths)
    if isinstance(error, sqlite3.Error):
        return UserError(explain(error, paths.database))
    from wsdash.devfile import DevfileError

    if isinstance(error, PathError | ConfigError | DatabaseError | DevfileError):
        return UserError(str(error))
    return None
