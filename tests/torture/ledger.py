"""The expected state of each workspace, by the commands that were acknowledged. Pure."""

from __future__ import annotations

from dataclasses import dataclass

ABSENT, RUNNING, STOPPED = "absent", "running", "stopped"
AFTER = {"create": RUNNING, "start": RUNNING, "restart": RUNNING, "stop": STOPPED, "delete": ABSENT}
UNKNOWN_NAME = 3
"""Exit code of a command about a workspace that there is not."""


@dataclass
class Expected:
    """One workspace's name: what may be wanted of it, and what must be in its files.

    `lines` is the number of the last line whose command was acknowledged.
    """

    may_be: frozenset[str] = frozenset({ABSENT})
    lines: int = 0

    def note(self, verb: str, exit_code: int) -> str | None:
        """Take the exit code of a command about the name. Returns the sentence of a violation, if it is one.

        A negative code is a signal's number: the command was killed, and may have done its work or not.
        """
        before = self.may_be
        if exit_code == 0 and verb in AFTER:
            self.may_be = frozenset({AFTER[verb]})
        elif exit_code == UNKNOWN_NAME and verb != "create":
            if ABSENT not in before:
                return f"{verb} knows no such workspace, which was {' or '.join(sorted(before))}"
            self.may_be = frozenset({ABSENT})
        elif verb == "create":
            # A workspace gets its secrets before it is started: what was killed in between is there and stopped.
            self.may_be = before | {RUNNING, STOPPED} if ABSENT in before else before
        elif verb in AFTER:
            self.may_be = before | {AFTER[verb]}
        if (verb == "create" and ABSENT in before) or (verb == "delete" and exit_code == 0):
            # Another workspace has the name now, or may have it.
            self.lines = 0
        return None

    def settle(self, desired: str) -> str | None:
        """Compare with what the list says is wanted; nothing else is possible from now on."""
        if desired not in self.may_be:
            return f"{desired} is wanted, and {' or '.join(sorted(self.may_be))} was acknowledged"
        if desired == ABSENT:
            self.lines = 0
        self.may_be = frozenset({desired})
        return None
