"""How many sessions of its user are open in a workspace, by what its job answers when it is asked. Pure."""

from __future__ import annotations

MOST_BYTES = 16
TIMEOUT_S = 2.0
"""Who asks is about to end the job, and waits for the answer: a job that takes longer is judged by its heartbeat."""


def shells_of(output: bytes | None) -> int | None:
    """The number; None where the job could not be asked, or says anything else: one of an older version does."""
    text = (output or b"").strip()
    return int(text) if text.isdigit() else None
