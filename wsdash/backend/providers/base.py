"""The Protocol that every provider of jobs follows.

The contract, which `tests/backend/providers/contract.py` holds every provider to:

- Every call names an attempt by its id, the idempotency key that the provider keeps. Calling twice is
  the same as calling once, also after a lost reply or from a second process.
- `observe` is one look at all jobs at a cost that does not grow with their number in requests. A job that
  a provider has no trace of is absent from the answer; not being able to look raises `Unreachable`.
- No call runs longer than its provider's stated limit, and none blocks the event loop.

What only some providers can do is in `features.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from wsdash.backend.providers.types import Capabilities, LogChunk, PollIntervals, ProviderSnapshot
from wsdash.model import Attempt, JobObservation, Workspace
from wsdash.workload import Workload


class Provider(Protocol):
    """Runs jobs. One instance serves one context. `kind` is the provider's name in config.toml."""

    kind: str
    poll_intervals: PollIntervals

    async def launch(self, workspace: Workspace, attempt: Attempt, workload: Workload) -> JobObservation:
        """Start the attempt's job, or find the one that this attempt already has.

        Raises `Unreachable` when it is not known whether a job was made, `PreconditionFailed` when none was and
        something must be fixed first, `PermanentError` when none ever will be.
        """

    async def observe(self) -> ProviderSnapshot:
        """Every job that this provider knows of in this context. Raises `Unreachable` or `PreconditionFailed`."""

    def changes(self) -> AsyncIterator[frozenset[str]]:
        """Ids of attempts that have just changed: a hint to look sooner, never the only witness."""

    async def cancel(self, attempt: Attempt, grace_s: float) -> None:
        """Ask the job to end by itself: preStop, then the end, at most `grace_s` later.

        An attempt without a job is marked so that a launch still on its way ends at once.
        """

    async def force_cancel(self, attempt: Attempt) -> None:
        """End the job and everything it started, now. When this returns nothing of it runs."""

    async def destroy(self, workspace: Workspace) -> str | None:
        """Remove everything that only this workspace owned: folder, volumes, logs, jobs' records.

        What stays all the same and must be removed by hand, in words. Raises `InProgress` while a job does it.
        """

    async def read_log(self, attempt: Attempt, offset: int, limit: int) -> LogChunk:
        """Up to `limit` bytes of the attempt's log. An offset past the end gives an empty chunk."""

    async def capabilities(self) -> Capabilities:
        """Return the capabilities that jobs have here, found by testing them."""

    async def aclose(self) -> None:
        """Let go of watches and helpers. Jobs go on."""
