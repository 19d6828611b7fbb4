"""Polls one context: observes its jobs, records changes, and says how soon to poll again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from wsdash.backend.providers.base import Provider
from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.features import Adopts
from wsdash.backend.reconcile.failures import log_failures
from wsdash.backend.rules import decide as rules
from wsdash.backend.store.fenced_store import FencedStore, JobEvent
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.backend.system.runtime import Runtime
from wsdash.model import Attempt, Desired, JobObservation, JobState, Observation, Workspace

log = logging.getLogger(__name__)

SOON_S = 180.0
"""Seconds that a job waits for a runner before polls get rarer: a free runner takes it within minutes."""
PAUSE = 3.0
"""After a gap of so many normal intervals no process was polling: heartbeats get time to arrive again."""
STEP_S = 5.0
"""A clock that differs by so much from the boot-time clock was set meanwhile: no span between two times is known."""

Observed = Callable[["ContextPoller", Mapping[str, Workspace], Mapping[str, Sequence[Attempt]]], None]


class ContextPoller:
    """Observes the jobs of one context while the store's lease is held.

    `on_observed` is called after each poll with the context's workspaces and their attempts, both by workspace id.
    """

    def __init__(
        self, context: str, provider: Provider, store: FencedStore, on_observed: Observed, runtime: Runtime
    ) -> None:
        self.context = context
        self.provider = provider
        self.observation: Observation | None = None
        self.is_busy = False
        """Whether a change is expected, so that it is worth polling often."""
        self._is_idle = False
        self._store = store
        self._on_observed = on_observed
        self._runtime = runtime
        self._polled_at: float | None = None
        self._clock_offset: float | None = None
        self._poll_now = asyncio.Event()
        self._unmanaged: set[str] = set()
        """Attempt ids of jobs that belong to no workspace of this store."""

    def set_provider(self, provider: Provider) -> None:
        """Poll this provider from now on, because the context's settings changed."""
        if provider is not self.provider:
            self.provider = provider
            self.mark_unreliable()
            self.poll_soon()

    def poll_soon(self) -> None:
        """Poll as soon as the present poll is over."""
        self._poll_now.set()

    def mark_unreliable(self) -> None:
        """Record that this machine's own connection failed: missed heartbeats until now do not count (rule 8)."""
        if self.observation is not None:
            self.observation = replace(self.observation, watching_since=self.observation.at)

    async def keep_polling(self) -> None:
        """Poll repeatedly: often while something changes, rarely when nothing runs."""
        while True:
            await log_failures(f"observing {self.context}", self.poll())
            # Not wait_for: in Python 3.11 it loses a cancel that arrives as the event is set.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s() * (0.9 + 0.2 * self._runtime.random())):
                    await self._poll_now.wait()
            self._poll_now.clear()

    async def listen(self) -> None:
        """Poll at once when the provider hints at a change; without hints the regular polls continue."""

        async def hints() -> None:
            async for _ in self.provider.changes():
                self._poll_now.set()

        while True:
            if await log_failures(f"listening to {self.context}", hints()):
                return
            await asyncio.sleep(self.provider.poll_intervals.steady_s)

    async def poll(self) -> None:
        """Query all jobs from the provider once, record changes, and pass them on."""
        observation = await self._observe()
        self.observation = observation
        workspaces = {found.id: found for found in await self._store.workspaces_in(self.context)}
        attempts = await self._store.recent_attempts_in(self.context)
        live = [a for workspace_id in workspaces for a in attempts.get(workspace_id, []) if a.is_live]
        adopted = await self._adopt_unknown(observation, {attempt.id for attempt in live})
        ended = await self._record(observation, workspaces, live)
        if adopted or ended:
            attempts = await self._store.recent_attempts_in(self.context)
        own = {
            workspace_id: [_as_observed(attempt, observation) for attempt in attempts.get(workspace_id, [])]
            for workspace_id in workspaces
        }
        self.is_busy = any(_is_changing(w, own[w.id], observation) for w in workspaces.values())
        self._is_idle = not live and not any(w.desired is Desired.RUNNING for w in workspaces.values())
        self._on_observed(self, workspaces, own)

    async def _observe(self) -> Observation:
        now, boot_now = self._runtime.clock(), self._runtime.boot_clock()
        before = self.observation
        longest = PAUSE * self.provider.poll_intervals.steady_s
        paused = self._polled_at is not None and boot_now - self._polled_at > longest
        offset, before_offset = now - boot_now, self._clock_offset
        was_set = before_offset is not None and abs(offset - before_offset) > STEP_S
        self._clock_offset = offset
        try:
            answer = await self.provider.observe()
        except ProviderError as error:
            self._polled_at = boot_now
            problem = f"{error.message}. {error.hint}".strip() if error.hint else error.message
            return Observation(now, False, now, (), problem)
        self._polled_at = boot_now
        is_unbroken = before is not None and before.reachable and not paused and not was_set
        since = before.watching_since if before is not None and is_unbroken else answer.at
        return Observation(answer.at, True, since, answer.jobs)

    def _interval_s(self) -> float:
        intervals = self.provider.poll_intervals
        if self.is_busy:
            return intervals.busy_s
        return intervals.idle_s if self._is_idle else intervals.steady_s

    async def _record(
        self, observation: Observation, workspaces: Mapping[str, Workspace], live: Sequence[Attempt]
    ) -> bool:
        """Store the observation and its effect on each live attempt; True when an attempt ended."""
        now = self._runtime.clock()
        changed: list[tuple[Attempt, JobObservation]] = []
        ends = []
        events: list[JobEvent] = []
        for attempt in live:
            job = observation.job_of(attempt.id)
            if job is not None and job != attempt.last_observation:
                changed.append((attempt, job))
                events += _job_events(attempt, job)
            end = rules.end_of(attempt, observation, workspaces[attempt.workspace_id].policy, now)
            if end is not None:
                ends.append((attempt, end))
        boot_now = self._runtime.boot_clock()
        await self._store.record_observation(self.context, observation, changed, ends, events, now, boot_now)
        return bool(ends)

    async def _adopt_unknown(self, observation: Observation, known: set[str]) -> bool:
        """Record live jobs that the store has no live attempt for, for example after a restored backup.

        One that cannot be recorded must not prevent the observation of the others.
        """
        unknown = [
            job
            for job in observation.jobs
            if job.attempt_id not in known
            and job.state is not JobState.ENDED
            # Two contexts may use the same project.
            and not await self._store.is_live(job.attempt_id)
        ]
        for job in unknown:
            await log_failures(f"adopting job {job.job_id}", self._take_in(job, observation.at))
        return bool(unknown)

    async def _take_in(self, job: JobObservation, at: float) -> None:
        try:
            workspace = await self._store.workspace(job.workspace_id)
        except NoSuchWorkspace:
            if job.attempt_id not in self._unmanaged:
                self._unmanaged.add(job.attempt_id)
                log.warning("job %s belongs to no workspace of this store; it is ignored", job.job_id)
            return
        since = job.created_at or at
        attempt = Attempt(
            job.attempt_id,
            workspace.id,
            job.number,
            job.generation,
            intended_at=since,
            launched_at=since,
            job_id=job.job_id,
            url=job.url,
            last_observation=job,
        )
        if workspace.deleted_at is not None:
            await self.provider.force_cancel(attempt)
            await self.provider.destroy(workspace)
            return
        if isinstance(self.provider, Adopts):
            await self.provider.adopted(workspace, attempt)
        await self._store.adopt(attempt, self._runtime.clock(), "found running without a record")


def _as_observed(attempt: Attempt, observation: Observation) -> Attempt:
    """Return the attempt as just recorded, so that a lost job is handled at this poll and not at the next."""
    job = observation.job_of(attempt.id) if attempt.is_live else None
    return (
        attempt if job is None or job is attempt.last_observation else replace(attempt, last_observation=job)
    )


def _is_changing(workspace: Workspace, attempts: Sequence[Attempt], observation: Observation) -> bool:
    """Whether a transition is in progress, or a heartbeat is overdue."""
    live = [attempt for attempt in attempts if attempt.is_live]
    if workspace.desired is not Desired.RUNNING:
        return bool(live) or workspace.desired is Desired.DELETED
    return any(
        a.last_observation is None
        or (a.last_observation.ready_at is None and not _waits_long(a.last_observation, observation.at))
        or a.cancel_requested_at is not None
        or rules.is_healthy(a, observation, workspace.policy) is False
        for a in live
    )


def _waits_long(job: JobObservation, now: float) -> bool:
    """Whether the job has waited for a runner so long that it may wait for hours."""
    since = job.state_since or job.created_at
    return job.state is JobState.QUEUED and since is not None and now - since > SOON_S


def _job_events(attempt: Attempt, now: JobObservation) -> Iterator[JobEvent]:
    """Return the events that a job reported since it was last observed."""
    before = attempt.last_observation
    known = (
        set() if before is None else {(s.phase, s.command, s.started_at) for s in before.steps if s.failed}
    )
    for step in now.steps:
        if step.failed and (step.phase, step.command, step.started_at) not in known:
            evidence = {"exit_code": step.exit_code, "log_start": step.log_start, "log_end": step.log_end}
            text = f"{step.title} failed with exit {step.exit_code}"
            yield JobEvent(attempt, "step-failed", text, evidence)
    if now.warning is not None and (before is None or before.warning != now.warning):
        yield JobEvent(attempt, "notice", now.warning, {})
    if now.checkpoint_error is not None and (
        before is None or before.checkpoint_error != now.checkpoint_error
    ):
        yield JobEvent(attempt, "checkpoint-failed", now.checkpoint_error, {"saved_at": now.saved_at})
    if now.ready_at is not None and (before is None or before.ready_at is None):
        yield JobEvent(attempt, "ready", "ready for use", {"isolation": now.isolation})
