"""The Protocol that every provider of jobs implements.

The contract, which `tests/backend/providers/contract.py` checks for every provider:

- Every call names an attempt by its id, the idempotency key that the provider keeps. Calling twice is
  the same as calling once, also after a lost reply or from a second process.
- `observe` queries all jobs at once; the number of requests does not grow with the number of jobs. A job that the
  provider does not know is absent from the answer; a failed query raises `Unreachable`.
- No call runs longer than its provider's stated limit, and none blocks the event loop.

Optional features of providers are in `features.py`.
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

        Raises `Unreachable` if it is unknown whether a job was created, `PreconditionFailed` if none was and the user
        must fix something first, `PermanentError` if none can ever be created.
        """

    async def observe(self) -> ProviderSnapshot:
        """Return every job that this provider has in this context. Raises `Unreachable` or `PreconditionFailed`."""

    def changes(self) -> AsyncIterator[frozenset[str]]:
        """Yield ids of attempts that have just changed: a hint to observe sooner, which may be missing."""

    async def cancel(self, attempt: Attempt, grace_s: float) -> None:
        """Ask the job to end by itself: preStop, then the end after at most `grace_s` seconds.

        An attempt without a job is marked, so that a launch in progress ends at once.
        """

    async def force_cancel(self, attempt: Attempt) -> None:
        """End the job and every process that it started, now. When this returns, none of them runs."""

    async def destroy(self, workspace: Workspace) -> str | None:
        """Remove everything that only this workspace owned: folder, volumes, logs, jobs' records.

        Return a description of leftovers that the user must remove. Raises `InProgress` while a job removes the rest.
        """

    async def read_log(self, attempt: Attempt, offset: int, limit: int) -> LogChunk:
        """Return up to `limit` bytes of the attempt's log. An offset past the end gives an empty chunk."""

    async def capabilities(self) -> Capabilities:
        """Return the capabilities that jobs have here, found by testing them."""

    async def aclose(self) -> None:
        """Stop watches and helpers. Jobs continue."""
