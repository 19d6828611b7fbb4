"""Errors that the user can fix, all of one shape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wsdash.backend.clone_address import redacted


class WsdashError(Exception):
    """What happened, to what; and in `hint` what to do.

    `exit_code` is the command line's (docs/command-line.md), by default that of the class. `field` names what the user
    typed wrongly in the form or the request: `source`, `ref`, `devfile` or `name`; empty where it is none of these.
    `details` are lines to read below: all that is wrong with a devfile, each with its place. Secrets in addresses are
    left out of all of them.
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
    """Turn errors raised in the block into failures of the verb itself: exit code 1, and this field of the
    form.
    """
    try:
        yield
    except WsdashError as error:
        error.exit_code, error.field = 1, field
        raise


class UserError(WsdashError):
    """A verb cannot do what was asked."""


class NotSaved(UserError):
    """The job was not ended, because its work could not be saved elsewhere first."""


class WorkspaceGone(UserError):
    """The workspace was deleted before the requested operation could be done."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is gone: it was deleted meanwhile",
            "One that has its name now is another workspace, and was left alone.",
            exit_code=3,
        )
