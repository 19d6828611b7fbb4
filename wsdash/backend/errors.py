"""Errors that the user can fix, with a message and a hint each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wsdash.backend.clone_address import redacted


class WsdashError(Exception):
    """An error: the message names what failed and its object, `hint` the next step.

    `exit_code` is the command line's (docs/command-line.md), by default that of the class. `field` names the wrong
    field of the form or the request: `source`, `ref`, `devfile` or `name`; "" if it is none of these. `details` are
    further lines, such as every problem of a devfile with its place. None of these contains a secret of an address.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        hint: str = "",
        exit_code: int | None = None,
        *,
        field: str = "",
        details: tuple[str, ...] = (),
    ) -> None:
        self.message = redacted(message)
        super().__init__(self.message)
        self.hint = redacted(hint)
        self.field = field
        self.details = tuple(redacted(line) for line in details)
        if exit_code is not None:
            self.exit_code = exit_code


@contextmanager
def as_failure(field: str = "") -> Iterator[None]:
    """Turn errors raised in the block into failures of the command itself: exit code 1, and this field of the form."""
    try:
        yield
    except WsdashError as error:
        error.exit_code, error.field = 1, field
        raise


class UserError(WsdashError):
    """A command cannot do what was requested."""


class NotSaved(UserError):
    """The job was not ended, because its work could not be saved first."""


class WorkspaceGone(UserError):
    """The workspace was deleted before the requested operation could be done."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} was deleted meanwhile",
            "A workspace that has its name now is another one, and was not changed.",
            exit_code=3,
        )
