"""What goes wrong in a way that the user can mend."""

from __future__ import annotations


class UserError(Exception):
    """What happened, to what; and in `hint` what to do. `exit_code` is the command line's (design section 10)."""

    def __init__(self, message: str, hint: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code
