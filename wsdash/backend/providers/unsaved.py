"""What Git is asked about the work that only a workspace has, and what its answer says. Untrusted text."""

from __future__ import annotations

from wsdash.backend.providers.base import Question, UnsavedWork

_MOST_LINES = 100
_SEPARATOR = "\036"

QUESTION = Question(
    "git rev-parse --git-dir >/dev/null && git status --porcelain && printf '\\036' && "
    "git log --oneline --no-color --branches --not --remotes && printf '\\036'",
    most=256 * 1024,
    timeout_s=20.0,
)


def answer(said: bytes) -> UnsavedWork | None:
    """None where Git did not say it all."""
    parts = said.decode("utf-8", "replace").split(_SEPARATOR)
    return UnsavedWork(_lines(parts[0]), _lines(parts[1])) if len(parts) >= 3 else None


def _lines(text: str) -> tuple[str, ...]:
    lines = [line for line in text.splitlines() if line.strip()]
    more = len(lines) - _MOST_LINES
    return (*lines[:_MOST_LINES], f"and {more} more") if more > 0 else tuple(lines)
