"""Watches one context: looks at its jobs, records what is new, and says how soon to look again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from wsdash.backend.providers.base import Provider, ProviderError
from wsdash.backend.rules import decide as rules
from wsdash.backend.store.errors import DatabaseError, StateRemoved
from wsdash.backend.store.lease import LeaseLost
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.backend.store.store import Store
from wsdash.model import Attempt, Desired, JobObservation, JobState, Observation, Workspace

log = logging.getLogger(__name__)

SOON_S = 180.0
"""A runner that is free takes a job within minutes."""
PAUSE = 3.0
"""After a gap of so many steady waits nobody was watching: heartbeats get time to arrive again."""

Looked = Callable[["ContextWatch", Mapping[str, Workspace], Mapping[str, Sequence[Attempt]]], None]


class ContextWatch:
    """Looks at the jobs of one context while the lease of `token` is held.

    `looked` is told after each look of the context's workspaces and their attempts. `clock` gives seconds
    since the epoch, `boot_clock` the boot-time clock, `random` a number from 0 up to 1.
    """

    def __init__(
        self,
        context: str,
        provider: Provider,
        store: Store,
        token: int,
        looked: Looked,
        *,
        clock: Callable[[], float],
        boot_clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self.context = context
        self.provider = provider
        self.observation: Observation | None = None
        self.is_busy = False
        """Whether something is on its way, so that looking often pays."""
        self._is_idle = False
        self._store = store
        self._token = token
        self._looked = looked
        self._clock = clock
        self._boot_clock = boot_clock
        self._random = random
        self._looked_at: float | None = None
        self._look_now = asyncio.Event()
        self._strangers: set[str] = set()

    def ask(self, provider: Provider) -> None:
        """From now on ask this one: another one, where the context's settings were changed."""
        if provider is not self.provider:
            self.provider = provider
            self.doubt()
            self.look_soon()

    def look_soon(self) -> None:
        """Look as soon as the present look is over."""
        self._look_now.set()

    def doubt(self) -> None:
        """Our own connection has failed: silence up to now may not be held against any job (rule 8)."""
        if self.observation is not None:
            self.observation = replace(self.observation, watching_since=self.observation.at)

    async def keep_looking(self) -> None:
        """Look again and again: often while something changes, rarely when nothing runs."""
        while True:
            await surviving(f"looking at {self.context}", self.look())
            # Not wait_for: in Python 3.11 that loses a cancel which comes as the event is set.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._wait_s() * (0.9 + 0.2 * self._random())):
                    await self._look_now.wait()
            self._look_now.clear()

    async def listen(self) -> None:
        """Look at once when the provider hints at a change; without hints the regular looks go on."""

        async def hints() -> None:
            async for _ in self.provider.changes():
                self._look_now.set()

        while True:
            if await surviving(f"listening to {self.context}", hints()):
                return
            await asyncio.sleep(self.provider.poll_intervals.steady_s)

    async def look(self) -> None:
        """Ask the provider once about all jobs, record what is new, and tell of it."""
        now, boot_now = self._clock(), self._boot_clock()
        before = self.observation
        longest = PAUSE * self.provider.poll_intervals.steady_s
        paused = self._looked_at is not None and boot_now - self._looked_at > longest
        try:
            answer = await self.provider.observe()
            is_new_watch = before is None or not before.reachable or paused
            since = answer.at if before is None or is_new_watch else before.watching_since
            observation = Observation(answer.at, True, since, answer.jobs)
        except ProviderError as error:
            problem = f"{error.message}. {error.hint}".strip() if error.hint else error.message
            observation = Observation(now, False, now, (), problem)
        self._looked_at = boot_now
        self.observation = observation
        workspaces = {w.id: w for w in await self._store.workspaces() if w.context == self.context}
        attempts = await self._store.recent_attempts()
        known = {attempt.id for own in attempts.values() for attempt in own if attempt.is_live}
        adopted = await self._adopt_unknown(observation, known)
        live = [a for i in workspaces for a in attempts.get(i, []) if a.is_live]
        ended = await self._record(observation, workspaces, live)
        if adopted or ended:
            attempts = await self._store.recent_attempts()
        own = {i: attempts.get(i, []) for i in workspaces}
        self.is_busy = any(_is_changing(w, own[w.id], observation) for w in workspaces.values())
        self._is_idle = not live and not any(w.desired is Desired.RUNNING for w in workspaces.values())
        self._looked(self, workspaces, own)

    def _wait_s(self) -> float:
        poll_intervals = self.provider.poll_intervals
        if self.is_busy:
            return poll_intervals.busy_s
        return poll_intervals.idle_s if self._is_idle else poll_intervals.steady_s

    async def _record(
        self, observation: Observation, workspaces: Mapping[str, Workspace], live: Sequence[Attempt]
    ) -> bool:
        """Store the look and what it says of each live attempt; True when one has ended."""
        now = self._clock()
        changed, ends, told = [], [], []
        for attempt in live:
            job = observation.job_of(attempt.id)
            if job is not None and job != attempt.seen:
                changed.append((attempt, job))
                told += [(attempt, *news) for news in _news(attempt.seen, job)]
            end = rules.end_of(attempt, observation, workspaces[attempt.workspace_id].policy, now)
            if end is not None:
                ends.append((attempt, end, f"job #{attempt.number} ended: {end.headline}"))
        await self._store.observed(
            self.context, observation, changed, ends, told, self._token, now, self._boot_clock()
        )
        return bool(ends)

    async def _adopt_unknown(self, look: Observation, known: set[str]) -> bool:
        """Take in live jobs that the store has no live attempt for, as after a restored backup.

        One that cannot be taken in must not keep the others from being looked at.
        """
        unknown = [j for j in look.jobs if j.attempt_id not in known and j.state is not JobState.ENDED]
        for job in unknown:
            await surviving(f"taking in job {job.job_id}", self._take_in(job, look.at))
        return bool(unknown)

    async def _take_in(self, job: JobObservation, at: float) -> None:
        try:
            workspace = await self._store.workspace(job.workspace_id)
        except NoSuchWorkspace:
            if job.attempt_id not in self._strangers:
                self._strangers.add(job.attempt_id)
                log.warning("job %s belongs to no workspace of this store; it is left alone", job.job_id)
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
            seen=job,
        )
        if workspace.deleted_at is not None:
            await self.provider.force_cancel(attempt)
            await self.provider.destroy(workspace)
            return
        await self._store.adopt(attempt, self._token, self._clock(), "found running, though not on record")


async def surviving(doing: str, work: Coroutine[Any, Any, object]) -> bool:
    """Await the work; False when it failed. A full disk must not end the loop; a lost lease must.

    A failure is logged once for as long as it stays the same.
    """
    try:
        await work
    except (LeaseLost, StateRemoved):
        raise
    except NoSuchWorkspace:
        log.info("%s: it is gone", doing)
    except Exception as error:
        if _failing.get(doing) != repr(error):
            _failing[doing] = repr(error)
            if isinstance(error, DatabaseError | ProviderError):
                log.error("%s: %s", doing, error)
            else:
                log.exception("%s: unexpected", doing)
        return False
    if _failing.pop(doing, None) is not None:
        log.info("%s: it works again", doing)
    return True


_failing: dict[str, str] = {}
"""The last failure of what fails now."""


def _is_changing(workspace: Workspace, attempts: Sequence[Attempt], observation: Observation) -> bool:
    """Whether something is on its way, or a heartbeat is overdue."""
    live = [attempt for attempt in attempts if attempt.is_live]
    if workspace.desired is not Desired.RUNNING:
        return bool(live) or workspace.desired is Desired.DELETED
    return any(
        a.seen is None
        or (a.seen.ready_at is None and not _waits_long(a.seen, observation.at))
        or a.cancel_requested_at is not None
        or rules.is_healthy(a, observation, workspace.policy) is False
        for a in live
    )


def _waits_long(job: JobObservation, now: float) -> bool:
    """Whether it has been waiting for a runner for so long that it may go on for hours."""
    since = job.since or job.created_at
    return job.state is JobState.QUEUED and since is not None and now - since > SOON_S


def _news(
    before: JobObservation | None, now: JobObservation
) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """What a job has told since the last look, as kind, text and evidence of events."""
    known = (
        set() if before is None else {(s.phase, s.command, s.started_at) for s in before.steps if s.failed}
    )
    for step in now.steps:
        if step.failed and (step.phase, step.command, step.started_at) not in known:
            evidence = {"exit_code": step.exit_code, "log_start": step.log_start, "log_end": step.log_end}
            yield "step-failed", f"{step.title} failed with exit {step.exit_code}", evidence
    if now.notice is not None and (before is None or before.notice != now.notice):
        yield "notice", now.notice, {}
    if now.unsaved is not None and (before is None or before.unsaved != now.unsaved):
        yield "not-saved", now.unsaved, {"saved_at": now.saved_at}
    if now.ready_at is not None and (before is None or before.ready_at is None):
        yield "ready", "ready to be used", {"isolation": now.isolation}
