"""Rules 5 and 6: which ends count as crashes, which crashes form one episode, and how long a restart waits. Pure."""

from __future__ import annotations

import binascii
from collections.abc import Sequence

from wsdash.model import Attempt, Cause, Policy, Workspace

PLANNED = frozenset({Cause.DEADLINE, Cause.TIMEOUT})
"""Causes of an end that do not count as a crash after a run of `shortest_run_s`."""


def crashes(workspace: Workspace, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the crashes of the present episode, oldest first.

    Only the present generation counts, because a user's restart clears the earlier ones. An episode ends
    with a gap of `quiet_s` between two crashes, never with a success (rule 6).
    """
    policy = workspace.policy
    episode: list[Attempt] = []
    for attempt in attempts:
        if attempt.generation != workspace.generation or not is_crash(attempt, policy):
            continue
        if episode and _ended_at(attempt) - _ended_at(episode[-1]) >= policy.quiet_s:
            episode = []
        episode.append(attempt)
    return episode


def backoff_s(crash_count: int, attempt_id: str, policy: Policy) -> float:
    """Return the wait in seconds before the restart after this crash: none the first time, then a ladder with
    full jitter.

    The jitter derives from the attempt's id, so that it differs between workspaces and `plan` can predict it.
    """
    if crash_count <= 1 or not policy.ladder_s:
        return 0.0
    step = policy.ladder_s[min(crash_count - 2, len(policy.ladder_s) - 1)]
    return step * binascii.crc32(attempt_id.encode(errors="surrogatepass")) / 0xFFFFFFFF


def is_crash(attempt: Attempt, policy: Policy) -> bool:
    """Rule 5: a requested end, or the job's own deadline after a sufficient run, is not a crash."""
    end = attempt.end
    if end is None or end.cause is Cause.CANCELLED:
        return False
    if end.cause in PLANNED:
        started = attempt.launched_at if attempt.launched_at is not None else attempt.intended_at
        return end.at - started < policy.shortest_run_s
    return True


def _ended_at(attempt: Attempt) -> float:
    assert attempt.end is not None
    return attempt.end.at
