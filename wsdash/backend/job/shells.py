"""Parses a job's answer to the query how many user sessions are open in its workspace. Pure."""

from __future__ import annotations

MOST_BYTES = 16
TIMEOUT_S = 2.0
"""Time limit of the query in seconds, as the user waits for the end; after it the heartbeat's number is used."""


def shells_of(output: bytes | None) -> int | None:
    """Return the number; None if the job did not answer, or answered anything else, as older versions do."""
    text = (output or b"").strip()
    return int(text) if text.isdigit() else None
