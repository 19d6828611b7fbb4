"""The loop that keeps the jobs alive: observe, decide, act. It owns no rule; `decide` has them all.

It is level-triggered: whatever woke it, it compares all that is wanted with all that is observed. Hints
(a provider's `changes`, another process's commit, a command in this process) only make it look sooner.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from wsdash.backend.providers import unsaved_work
from wsdash.backend.providers.base import (
    InProgress,
    OwnershipLost,
    PermanentError,
    PreconditionFailed,
    Provider,
    ProviderError,
    Unreachable,
)
from wsdash.backend.reconcile.context_poller import ContextWatch, surviving
from wsdash.backend.reconcile.workqueue import WorkQueue
from wsdash.backend.rules import decide as rules
from wsdash.backend.rules.autodelete import autodelete, record_of
from wsdash.backend.store.errors import StateRemoved
from wsdash.backend.store.lease import LEASE_S, RENEW_S, LeaseLost
from wsdash.backend.store.store import Store
from wsdash.model import Attempt, Cause, Desired, End, UnsavedTotals, Workspace

log = logging.getLogger(__name__)

WORKERS = 4
WISHES_S = 0.5
CONTEXTS_S = 10.0
"""After so long a context that was changed in config.toml is asked as it is now."""
SOON_S = 0.02
FAILED_S = 15.0
LOOKING_S = 15 * 60.0
"""A look for unsaved work that has not ended by then is begun again."""
RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
BLOCKED_RETRY_S = (15.0, 60.0, 300.0)


class Reconciler:
    """Reconciles one state store while it holds the lease of this token.

    `providers` gives the provider of each context that is to be looked at now. `clock` gives seconds since
    the epoch, `boot_clock` the boot-time clock, `new_id` a fresh attempt's id, `random` a number from 0 up to 1.
    """

    def __init__(
        self,
        store: Store,
        providers: Callable[[], Awaitable[Mapping[str, Provider]]],
        token: int,
        *,
        clock: Callable[[], float],
        boot_clock: Callable[[], float],
        new_id: Callable[[], str],
        random: Callable[[], float],
    ) -> None:
        self._store = store
        self._providers = providers
        self._token = token
        self._clock = clock
        self._boot_clock = boot_clock
        self._new_id = new_id
        self._random = random
        self._queue = WorkQueue()
        self._watches: dict[str, ContextWatch] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}
        self._put_off_until: dict[str, float] = {}
        self._told: dict[str, str] = {}
        self._wanted: dict[str, tuple[Desired, int]] = {}
        self._contexts: dict[str, str] = {}
        self._is_new_context = False
        self._looking: dict[str, asyncio.Task[bool]] = {}
        self._one_look = asyncio.Lock()

    def nudge(self, workspace_id: str) -> None:
        """A user's command for this workspace was committed: it overtakes background work."""
        self._put_off_until.pop(workspace_id, None)
        self._queue.add(workspace_id, urgent=True)

    @property
    def has_work(self) -> bool:
        """Whether a workspace is wanted running, or something is still to be ended or removed."""
        return (
            any(watch.is_busy for watch in self._watches.values())
            or not self._queue.is_idle()
            or bool(self._looking)
            or Desired.RUNNING in (d for d, _ in self._wanted.values())
        )

    async def run(self) -> None:
        """Reconcile until cancelled. Raises `LeaseLost` when another process has taken over."""
        try:
            await self._run()
        except BaseExceptionGroup as group:
            if (removed := group.subgroup(StateRemoved)) is not None:
                raise next(_leaves(removed)) from group
            if (lost := group.subgroup(LeaseLost)) is not None:
                raise LeaseLost(str(next(_leaves(lost)))) from group
            raise
        finally:
            for timer in self._timers.values():
                timer.cancel()
            looking = list(self._looking.values())
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew())
            await self._watch_contexts(tasks)
            tasks.create_task(self._notice_wishes(tasks))
            for _ in range(WORKERS):
                tasks.create_task(self._work())

    # Observe.

    async def watch_contexts(self) -> list[ContextWatch]:
        """Take up the contexts that nobody watched so far, and name them; what was changed is asked anew."""
        added = []
        for context, provider in (await self._providers()).items():
            if context in self._watches:
                self._watches[context].ask(provider)
            else:
                watch = ContextWatch(
                    context,
                    provider,
                    self._store,
                    self._token,
                    self._consider_all,
                    clock=self._clock,
                    boot_clock=self._boot_clock,
                    random=self._random,
                )
                self._watches[context] = watch
                added.append(watch)
        return added

    async def look(self, context: str) -> None:
        """Look at one context now."""
        await self._watches[context].look()

    async def _watch_contexts(self, tasks: asyncio.TaskGroup) -> None:
        for watch in await self.watch_contexts():
            tasks.create_task(watch.keep_looking())
            tasks.create_task(watch.listen())

    def _consider_all(
        self,
        watch: ContextWatch,
        workspaces: Mapping[str, Workspace],
        attempts: Mapping[str, Sequence[Attempt]],
    ) -> None:
        """Queue each workspace that calls for a step, and set the clock for the first of those that wait."""
        now = self._clock()
        soonest = rules.FOREVER
        for workspace in workspaces.values():
            self._wanted[workspace.id] = (workspace.desired, workspace.generation)
            self._contexts[workspace.id] = watch.context
            decision = self._decide(workspace, attempts[workspace.id])
            if isinstance(decision, rules.Wait):
                soonest = min(soonest, decision.until)
                continue
            put_off_until = self._put_off_until.get(workspace.id, 0.0)
            if now < put_off_until:
                soonest = min(soonest, put_off_until)
            elif (
                not isinstance(decision, rules.GiveUp) or self._told.get(workspace.id) != decision.attempt.id
            ):
                self._queue.add(workspace.id)
        self._wake_at(watch.context, watch.context, soonest)
        gone = [
            i for i, context in self._contexts.items() if context == watch.context and i not in workspaces
        ]
        for workspace_id in gone:
            del self._contexts[workspace_id]
            self._wanted.pop(workspace_id, None)

    def _decide(self, workspace: Workspace, attempts: Sequence[Attempt]) -> rules.Decision:
        """From the same facts as `Reader.plan`: the last look, and what each live attempt was last seen to be."""
        watch = self._watches.get(workspace.context)
        look = watch.observation if watch is not None else None
        observation = None if look is None else look.of(attempts)
        return rules.decide(workspace, attempts, observation, workspace.policy, self._clock())

    async def _notice_wishes(self, tasks: asyncio.TaskGroup) -> None:
        """Notice what other processes have committed, and contexts that have come or were changed."""
        rounds = 0
        while True:
            await asyncio.sleep(WISHES_S)
            await surviving("reading the wishes", self._take_in_wishes())
            rounds += 1
            if self._is_new_context or rounds * WISHES_S >= CONTEXTS_S:
                self._is_new_context, rounds = False, 0
                await surviving("taking up a context", self._watch_contexts(tasks))

    async def _take_in_wishes(self) -> None:
        if not await self._store.changed_elsewhere():
            return
        for watch in self._watches.values():
            watch.look_soon()
        for workspace in await self._store.workspaces():
            wish = (workspace.desired, workspace.generation)
            if self._wanted.get(workspace.id) != wish:
                self._wanted[workspace.id] = wish
                self.nudge(workspace.id)

    # Act.

    async def _work(self) -> None:
        while True:
            workspace_id = await self._queue.take()
            try:
                if not await surviving(f"reconciling {workspace_id}", self.step(workspace_id)):
                    self._put_off_until[workspace_id] = self._clock() + FAILED_S
            finally:
                self._queue.done(workspace_id)

    async def step(self, workspace_id: str) -> rules.Decision:
        """Decide for one workspace, carry the decision out, and queue it again if that was a step."""
        workspace = await self._store.workspace(workspace_id)
        attempts = await self._store.attempts(workspace_id)
        decision = self._decide(workspace, attempts)
        if isinstance(decision, rules.Wait):
            self._is_new_context = self._is_new_context or workspace.context not in self._watches
            self._wake_at(workspace.id, workspace.context, decision.until)
            return decision
        watch = self._watches[workspace.context]
        try:
            await self._act(watch.provider, workspace, attempts, decision)
        except ProviderError as error:
            await self._put_off(watch, workspace, decision, error)
            return decision
        if isinstance(decision, rules.LookForUnsaved):
            return decision
        if isinstance(decision, rules.Cancel | rules.ForceCancel) and decision.attempt.problem is not None:
            await self._store.problem_over(decision.attempt, self._token)
        self._failures.pop(workspace_id, None)
        self._put_off_until.pop(workspace_id, None)
        if not isinstance(decision, rules.GiveUp):
            watch.is_busy = True
            watch.look_soon()
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
                if autostop:
                    # What nobody has asked for costs nobody's work.
                    await provider.save(workspace, attempt)
                evidence = self._evidence(workspace, attempt)
                await self._store.cancel_requested(
                    attempt, token, now, reason, cause, evidence, autostop=autostop
                )
                await provider.cancel(attempt, workspace.policy.grace_s)
            case rules.ForceCancel(attempt, reason):
                evidence = self._evidence(workspace, attempt)
                await self._store.force_cancelled(attempt, token, now, reason, evidence)
                await provider.force_cancel(attempt)
            case rules.LookForUnsaved():
                self._look_for_unsaved(provider, workspace, attempts)
            case rules.Destroy(reason):
                await self._store.renew_lease(token, self._boot_clock())
                left = await provider.destroy(workspace)
                last = {"after": attempts[-1].number} if attempts else {}
                await self._store.destroyed(workspace.id, token, now, reason, last, left)
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
        except OwnershipLost as error:
            await self._store.let_go(workspace.id, self._token, self._clock(), error.message)
            return
        except PermanentError as error:
            message = f"{error.message}. {error.hint}".strip()
            end = End(self._clock(), Cause.CONFIGURATION, None, message)
            await self._store.ended(attempt, end, self._token, f"job #{attempt.number} ended: {end.headline}")
            self._queue.add(workspace.id)
            return
        await self._store.launched(attempt, job, self._token, self._clock())

    def _look_for_unsaved(
        self, provider: Provider, workspace: Workspace, attempts: Sequence[Attempt]
    ) -> None:
        """Beside all else, for it may take a minute, and one at a time."""
        self._put_off_until[workspace.id] = self._clock() + LOOKING_S
        if workspace.id not in self._looking:
            work = surviving(
                f"looking for unsaved work of {workspace.id}",
                self._find_unsaved(provider, workspace, attempts),
            )
            task = asyncio.create_task(work)
            self._looking[workspace.id] = task
            task.add_done_callback(lambda _: self._looking.pop(workspace.id, None))

    async def _find_unsaved(
        self, provider: Provider, workspace: Workspace, attempts: Sequence[Attempt]
    ) -> None:
        async with self._one_look:
            at = self._clock()
            workload = await self._store.workload(workspace.id)
            work = await unsaved_work.look(provider, workspace, workload)
            if work is not None:
                totals = work.totals
            else:
                left = await asyncio.to_thread(provider.left_behind, workspace, attempts)
                totals = left or UnsavedTotals(is_whole=False)
        policy, now = workspace.policy, self._clock()
        planned = autodelete(workspace, attempts, policy, at)
        announced_at = now if planned is not None and planned.announces else None
        before = planned.record if planned is not None else None
        record = record_of(totals, at, before, policy, announced_at)
        kind, text = "", ""
        if planned is not None and totals.holds and not policy.delete_unsaved_work:
            kind, text = "not-deleted", f"not deleted: {totals.sentence}"
        elif planned is not None and announced_at is not None:
            due = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(planned.due))
            kind, text = "deletion-announced", f"will be deleted at {due}, unless you start it before"
        await self._store.unsaved_found(workspace.id, self._token, now, record, kind, text)
        self.nudge(workspace.id)

    def _evidence(self, workspace: Workspace, attempt: Attempt) -> dict[str, object]:
        watch = self._watches[workspace.context]
        job = attempt.seen
        return {
            "desired": workspace.desired,
            "generation": workspace.generation,
            "job": job.state if job else None,
            "last_beat_at": job.beat.at if job and job.beat else None,
            "looked_at": watch.observation.at if watch.observation else None,
        }

    async def _put_off(
        self, watch: ContextWatch, workspace: Workspace, decision: rules.Decision, error: ProviderError
    ) -> None:
        """A refused or unanswered call is told of once and tried again later."""
        now = self._clock()
        if isinstance(error, InProgress):
            await self._store.goes_on(workspace.id, self._token, now, error.message)
            self._put_off_until[workspace.id] = now + watch.provider.poll_intervals.busy_s
            self._wake_at(workspace.id, workspace.context, self._put_off_until[workspace.id])
            return
        count = self._failures.get(workspace.id, 0)
        self._failures[workspace.id] = count + 1
        text = f"{error.message}. {error.hint}".strip()
        attempts = await self._store.attempts(workspace.id)
        attempt = next((a for a in reversed(attempts) if a.is_live), None)
        await self._store.failed_to(workspace.id, attempt, self._token, now, text)
        ladder = BLOCKED_RETRY_S if isinstance(error, PreconditionFailed | PermanentError) else RETRY_S
        retry_at = now + ladder[min(count, len(ladder) - 1)]
        self._put_off_until[workspace.id] = max(retry_at, error.retry_at or 0.0)
        self._wake_at(workspace.id, workspace.context, self._put_off_until[workspace.id])
        if isinstance(error, Unreachable):
            watch.doubt()
            if isinstance(decision, rules.Cancel) and decision.cause is Cause.RUNNER_LOST:
                await self._store.cancel_withdrawn(decision.attempt, self._token, now, text)

    # Keep going.

    async def _renew(self) -> None:
        """Renew the lease where looks do not: while a provider is slow, or cannot be asked."""
        while True:
            await asyncio.sleep(RENEW_S / 3)
            now = self._boot_clock()
            if now - self._store.lease_renewed_at < RENEW_S + 1.0:
                continue
            renewed = await surviving("renewing the lease", self._store.renew_lease(self._token, now))
            if not renewed and now - self._store.lease_renewed_at > LEASE_S:
                raise LeaseLost("it could not be renewed in time")

    def _wake_at(self, what: str, context: str, when: float) -> None:
        """Look at the context again at that time, so that the next decision rests on what is so then.

        `what` is the workspace that waits, or the context for the first of all.
        """
        previous = self._timers.pop(what, None)
        if previous is not None:
            previous.cancel()
        watch = self._watches.get(context)
        if when == rules.FOREVER or watch is None:
            return
        delay = max(SOON_S, when - self._clock())
        self._timers[what] = asyncio.get_running_loop().call_later(delay, watch.look_soon)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
