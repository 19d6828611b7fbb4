"""What goes wrong in a way that the user can mend."""

from __future__ import annotations

from wsdash.backend.git.clone_address import redacted


class UserError(Exception):
    """What happened, to what; and in `hint` what to do.

    `exit_code` is the command line's (docs/command-line.md). `field` names what the user typed wrongly in
    the form or the request: `source`, `ref`, `devfile` or `name`; empty where it is none of these. `details`
    are lines to read below: all that is wrong with a devfile, each with its place. Secrets in addresses are left out of
    all of them.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        exit_code: int = 1,
        *,
        field: str = "",
        details: tuple[str, ...] = (),
    ) -> None:
        self.message = redacted(message)
        super().__init__(self.message)
        self.details = tuple(redacted(line) for line in details)
        self.field = field
        self.hint = redacted(hint)
        self.exit_code = exit_code


class NotSaved(UserError):
    """A workspace's job was not ended, since its work could not be kept outside of it first."""


class NotRunning(UserError):
    """There is no job to enter now. A workspace that is wanted running gets another one."""


class WorkspaceGone(UserError):
    """A workspace was deleted before what its user has asked for could be done to it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is gone: it was deleted meanwhile",
            "One that has its name now is another workspace, and was left alone.",
            exit_code=3,
        )
