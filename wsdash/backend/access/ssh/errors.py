"""Reasons of a login that failed, by the output of ssh."""

from __future__ import annotations

import re

_DENIED = re.compile(r"^(?:(?P<user>[^@\s]+)@\S+: )?Permission denied", re.MULTILINE)
_OTHER_KEY = "Host key verification failed"
_CLOSED = re.compile(
    r"Connection (closed|reset) by|kex_exchange_identification|banner exchange", re.MULTILINE
)


def refusal(errors: str) -> str:
    """Return the reason in words, "" where the text shows none: the rest of a sentence that begins with the name."""
    if (found := _DENIED.search(errors)) is not None:
        who = f" as {found['user']}" if found["user"] else ""
        return f"refuses the login{who}: its SSH server does not accept the key of this machine"
    if _OTHER_KEY in errors:
        return "has an SSH server with another host key than its job has reported"
    if _CLOSED.search(errors):
        return "has no SSH server that answers: its job starts it again within seconds"
    return ""
