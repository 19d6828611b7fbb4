"""Parses a job's answer to the question how many user sessions are open in its workspace. Pure."""

from __future__ import annotations

MOST_BYTES = 16
TIMEOUT_S = 2.0
"""Who asks is about to end the job, and waits for the answer: a job that takes longer is judged by its heartbeat."""


def shells_of(output: bytes | None) -> int | None:
    """Return the number; None where the job could not be asked, or answers anything else, as older versions do."""
    text = (output or b"").strip()
    return int(text) if text.isdigit() else None
