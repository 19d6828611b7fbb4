"""The loop that keeps the jobs alive: observe, decide, act. It owns no rule; `decide` has them all.

It is level-triggered: whatever woke it, it compares all that is wanted with all that is observed. Hints
(a provider's `changes`, another process's commit, a command in this process) only make it look sooner.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from wsdash.backend import decide as rules
from wsdash.backend.database import DatabaseError
from wsdash.backend.lease import LEASE_S, RENEW_S, LeaseLost
from wsdash.backend.providers.base import Provider, ProviderError, Refused, Unreachable
from wsdash.backend.rows import NoSuchWorkspace
from wsdash.backend.store import Store
from wsdash.backend.workqueue import WorkQueue
from wsdash.model import (
    Attempt,
    Cause,
    Desired,
    End,
    JobObservation,
    JobState,
    Observation,
    Workspace,
)

log = logging.getLogger(__name__)

WORKERS = 4
STEADY_S = 15.0
BUSY_S = 1.0
WISHES_S = 0.5
SOON_S = 0.02
RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)


class Reconciler:
    """Reconciles one state store while it holds the lease of this token.

    `clock` gives seconds since the epoch, `boot_clock` the boot-time clock, `new_id` a fresh attempt's id.
    """

    def __init__(
        self,
        store: Store,
        providers: Mapping[str, Provider],
        token: int,
        *,
        clock: Callable[[], float],
        boot_clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._providers = providers
        self._token = token
        self._clock = clock
        self._boot_clock = boot_clock
        self._new_id = new_id
        self._queue = WorkQueue()
        self._observations: dict[str, Observation] = {}
        self._last_look: dict[str, float] = {}
        self._look_now = {context: asyncio.Event() for context in providers}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}
        self._put_off_until: dict[str, float] = {}
        self._told: dict[str, str] = {}
        self._strangers: set[str] = set()
        self._wanted: dict[str, tuple[Desired, int]] = {}
        self._busy = False
        self._renewed_at = boot_clock()

    def nudge(self, workspace_id: str) -> None:
        """A user's command for this workspace was committed: it overtakes background work."""
        self._queue.add(workspace_id, urgent=True)

    @property
    def has_work(self) -> bool:
        """Whether a workspace is wanted running, or something is still to be ended or removed."""
        return (
            self._busy
            or not self._queue.is_idle()
            or Desired.RUNNING in (d for d, _ in self._wanted.values())
        )

    async def run(self) -> None:
        """Reconcile until cancelled. Raises `LeaseLost` when another process has taken over."""
        try:
            await self._run()
        except BaseExceptionGroup as group:
            if group.subgroup(LeaseLost) is not None:
                raise LeaseLost("another process reconciles now") from group
            raise
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _run(self) -> None:
        for context in self._providers:
            await self._surviving(f"looking at {context}", self.look(context))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew())
            tasks.create_task(self._notice_wishes())
            for context, provider in self._providers.items():
                tasks.create_task(self._look_again(context))
                tasks.create_task(self._listen(context, provider))
            for _ in range(WORKERS):
                tasks.create_task(self._work())

    # Observe.

    async def look(self, context: str) -> None:
        """Ask a context's provider once about all its jobs, record what is new, queue what calls for a step."""
        now, boot_now = self._clock(), self._boot_clock()
        before = self._observations.get(context)
        paused = boot_now - self._last_look.get(context, boot_now) > 3 * STEADY_S
        watching_since = now if before is None or paused else before.watching_since
        try:
            answer = await self._providers[context].observe()
            observation = Observation(answer.at, True, watching_since, answer.jobs)
        except Unreachable as error:
            observation = Observation(now, False, now, (), error.message)
        self._last_look[context] = boot_now
        self._observations[context] = observation
        workspaces = {w.id: w for w in await self._store.workspaces() if w.context == context}
        attempts = await self._store.recent_attempts()
        known = {attempt.id for own in attempts.values() for attempt in own if attempt.is_live}
        adopted = await self._adopt_unknown(context, observation, known)
        live = [a for i in workspaces for a in attempts.get(i, []) if a.is_live]
        ended = await self._record(context, observation, workspaces, live)
        if adopted or ended:
            attempts = await self._store.recent_attempts()
        self._consider_all(workspaces, attempts)

    async def _record(
        self,
        context: str,
        observation: Observation,
        workspaces: Mapping[str, Workspace],
        live: Sequence[Attempt],
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
        renewed_at = self._boot_clock()
        await self._store.observed(context, observation, changed, ends, told, self._token, now, renewed_at)
        self._renewed_at = renewed_at
        return bool(ends)

    async def _adopt_unknown(self, context: str, look: Observation, known: set[str]) -> bool:
        """Take in live jobs that the store has no live attempt for, as after a restored backup.

        One that cannot be taken in must not keep the others from being looked at.
        """
        unknown = [j for j in look.jobs if j.attempt_id not in known and j.state is not JobState.ENDED]
        for job in unknown:
            await self._surviving(f"taking in job {job.job_id}", self._take_in(context, job, look.at))
        return bool(unknown)

    async def _take_in(self, context: str, job: JobObservation, at: float) -> None:
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
            await self._providers[context].force_cancel(attempt)
            await self._providers[context].destroy(workspace)
            return
        await self._store.adopt(attempt, self._token, self._clock(), "found running, though not on record")

    def _consider_all(
        self, workspaces: Mapping[str, Workspace], attempts: Mapping[str, Sequence[Attempt]]
    ) -> None:
        """Queue each workspace that calls for a step, and set the clock for those that wait."""
        self._busy = False
        for workspace in workspaces.values():
            self._wanted[workspace.id] = (workspace.desired, workspace.generation)
            own = attempts.get(workspace.id, [])
            self._busy = self._busy or _is_changing(workspace, own)
            decision = self._decide(workspace, own)
            if isinstance(decision, rules.Wait):
                self._wake_at(workspace, decision.until)
            elif (
                not isinstance(decision, rules.GiveUp) or self._told.get(workspace.id) != decision.attempt.id
            ):
                self._queue.add(workspace.id)
        for gone in self._wanted.keys() - workspaces.keys():
            del self._wanted[gone]

    def _decide(self, workspace: Workspace, attempts: Sequence[Attempt]) -> rules.Decision:
        """From the same facts as `Reader.plan`: the last look, and what each live attempt was last seen to be."""
        look = self._observations.get(workspace.context)
        observation = None if look is None else look.of(attempts)
        return rules.decide(workspace, attempts, observation, workspace.policy, self._clock())

    async def _look_again(self, context: str) -> None:
        event = self._look_now[context]
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), BUSY_S if self._busy else STEADY_S)
            event.clear()
            await self._surviving(f"looking at {context}", self.look(context))

    async def _listen(self, context: str, provider: Provider) -> None:
        """Look at once when the provider hints at a change; without hints the regular looks go on."""

        async def listen() -> None:
            async for _ in provider.changes():
                self._look_now[context].set()

        while True:
            if await self._surviving(f"listening to {context}", listen()):
                return
            await asyncio.sleep(STEADY_S)

    async def _notice_wishes(self) -> None:
        """Notice what other processes have committed."""
        while True:
            await asyncio.sleep(WISHES_S)
            await self._surviving("reading the wishes", self._take_in_wishes())

    async def _take_in_wishes(self) -> None:
        if not await self._store.changed_elsewhere():
            return
        for workspace in await self._store.workspaces():
            wish = (workspace.desired, workspace.generation)
            if self._wanted.get(workspace.id) != wish:
                self._wanted[workspace.id] = wish
                self._queue.add(workspace.id, urgent=True)

    # Act.

    async def _work(self) -> None:
        while True:
            workspace_id = await self._queue.take()
            try:
                if not await self._surviving(f"reconciling {workspace_id}", self.step(workspace_id)):
                    self._put_off_until[workspace_id] = self._clock() + STEADY_S
            finally:
                self._queue.done(workspace_id)

    async def step(self, workspace_id: str) -> rules.Decision:
        """Decide for one workspace, carry the decision out, and queue it again if that was a step."""
        workspace = await self._store.workspace(workspace_id)
        attempts = await self._store.attempts(workspace_id)
        decision = self._decide(workspace, attempts)
        if isinstance(decision, rules.Wait):
            self._wake_at(workspace, decision.until)
            return decision
        provider = self._providers.get(workspace.context)
        if provider is None:
            return decision
        try:
            await self._act(provider, workspace, attempts, decision)
        except ProviderError as error:
            await self._put_off(workspace, error)
            return decision
        self._failures.pop(workspace_id, None)
        self._put_off_until.pop(workspace_id, None)
        if not isinstance(decision, rules.GiveUp):
            self._busy = True
            self._look_now[workspace.context].set()
        return decision

    async def _act(
        self,
        provider: Provider,
        workspace: Workspace,
        attempts: Sequence[Attempt],
        decision: rules.Decision,
    ) -> None:
        now, token = self._clock(), self._token
        match decision:
            case rules.Launch():
                await self._launch(provider, workspace, attempts, decision)
            case rules.Adopt(attempt, job, reason):
                found = replace(attempt, launched_at=now, job_id=job.job_id, url=job.url, seen=job)
                await self._store.adopt(found, token, now, reason)
            case rules.Cancel(attempt, reason, cause, autostop):
                evidence = self._evidence(workspace, attempt)
                await self._store.cancel_requested(
                    attempt, token, now, reason, cause, evidence, autostop=autostop
                )
                await provider.cancel(attempt, workspace.policy.grace_s)
            case rules.ForceCancel(attempt, reason):
                evidence = self._evidence(workspace, attempt)
                await self._store.force_cancelled(attempt, token, now, reason, evidence)
                await provider.force_cancel(attempt)
            case rules.Destroy(reason):
                await self._store.renew_lease(token, self._boot_clock())
                await provider.destroy(workspace)
                last = {"after": attempts[-1].number} if attempts else {}
                await self._store.destroyed(workspace.id, token, now, reason, last)
            case rules.GiveUp(attempt, reason):
                await self._store.gave_up(attempt, token, now, reason)
                self._told[workspace.id] = attempt.id
            case rules.Wait():
                pass

    async def _launch(
        self, provider: Provider, workspace: Workspace, attempts: Sequence[Attempt], decision: rules.Launch
    ) -> None:
        attempt = decision.attempt
        if attempt is None:
            number = attempts[-1].number + 1 if attempts else 1
            attempt = Attempt(self._new_id(), workspace.id, number, workspace.generation, self._clock())
            evidence = {"after": attempts[-1].number} if attempts else {}
            await self._store.intend(attempt, self._token, decision.reason, evidence)
        else:
            await self._store.renew_lease(self._token, self._boot_clock())
        workload = await self._store.workload(workspace.id)
        try:
            job = await provider.launch(workspace, attempt, workload)
        except Refused as error:
            message = f"{error.message}. {error.hint}".strip()
            end = End(self._clock(), Cause.CONFIGURATION, None, message)
            await self._store.ended(attempt, end, self._token, f"job #{attempt.number} ended: {end.headline}")
            self._queue.add(workspace.id)
            return
        await self._store.launched(attempt, job, self._token, self._clock())

    def _evidence(self, workspace: Workspace, attempt: Attempt) -> dict[str, object]:
        observation = self._observations.get(workspace.context)
        job = attempt.seen
        return {
            "desired": workspace.desired,
            "generation": workspace.generation,
            "job": job.state if job else None,
            "last_beat_at": job.beat.at if job and job.beat else None,
            "looked_at": observation.at if observation else None,
        }

    async def _put_off(self, workspace: Workspace, error: ProviderError) -> None:
        """A refused or unanswered call is told of once and tried again later."""
        count = self._failures.get(workspace.id, 0)
        self._failures[workspace.id] = count + 1
        text = f"{error.message}. {error.hint}".strip()
        await self._store.failed_to(workspace.id, None, self._token, self._clock(), "provider-error", text)
        self._put_off_until[workspace.id] = self._clock() + RETRY_S[min(count, len(RETRY_S) - 1)]

    # Keep going.

    async def _surviving(self, doing: str, work: Coroutine[Any, Any, object]) -> bool:
        """Await the work; False when it failed. A full disk must not end the loop; a lost lease must."""
        try:
            await work
        except LeaseLost:
            raise
        except NoSuchWorkspace:
            log.info("%s: it is gone", doing)
        except (DatabaseError, ProviderError) as error:
            log.error("%s: %s", doing, error)
            return False
        except Exception:
            log.exception("%s: unexpected", doing)
            return False
        return True

    async def _renew(self) -> None:
        """Renew the lease where looks do not: while a provider is slow, or cannot be asked."""
        while True:
            await asyncio.sleep(RENEW_S / 3)
            now = self._boot_clock()
            if now - self._renewed_at < RENEW_S + 1.0:
                continue
            try:
                await self._store.renew_lease(self._token, now)
                self._renewed_at = now
            except DatabaseError as error:
                log.error("renewing the lease: %s", error)
                if now - self._renewed_at > LEASE_S:
                    raise LeaseLost("it could not be renewed in time") from error

    def _wake_at(self, workspace: Workspace, when: float) -> None:
        """Look again at that time, so that the next decision rests on what is so then."""
        previous = self._timers.pop(workspace.id, None)
        if previous is not None:
            previous.cancel()
        look_now = self._look_now.get(workspace.context)
        if when == rules.FOREVER or look_now is None:
            return
        delay = max(SOON_S, when - self._clock())
        self._timers[workspace.id] = asyncio.get_running_loop().call_later(delay, look_now.set)


def _is_changing(workspace: Workspace, attempts: Sequence[Attempt]) -> bool:
    """Whether something is on its way, so that looking often pays."""
    live = [attempt for attempt in attempts if attempt.is_live]
    if workspace.desired is not Desired.RUNNING:
        return bool(live) or workspace.desired is Desired.DELETED
    return any(a.seen is None or a.seen.ready_at is None or a.cancel_requested_at is not None for a in live)


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
    if now.ready_at is not None and (before is None or before.ready_at is None):
        yield "ready", "ready to be used", {"isolation": now.isolation}
