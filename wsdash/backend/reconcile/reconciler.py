"""The reconciler's loop: observe, decide, act. All rules are in `decide`.

It is level-triggered: after any event, it compares the whole desired state with the whole observed state.
Hints (a provider's `changes`, another process's commit, a command in this process) only make it poll sooner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from wsdash.backend.providers.base import Provider
from wsdash.backend.providers.errors import (
    InProgress,
    OwnershipLost,
    PermanentError,
    PreconditionFailed,
    ProviderError,
    Unreachable,
)
from wsdash.backend.providers.features import Adopts, Savable
from wsdash.backend.reconcile.context_poller import ContextPoller
from wsdash.backend.reconcile.failures import log_failures
from wsdash.backend.reconcile.unsaved_search import UnsavedSearch
from wsdash.backend.reconcile.workqueue import WorkQueue
from wsdash.backend.rules import decide as rules
from wsdash.backend.store.errors import StateRemoved
from wsdash.backend.store.fenced_store import FencedStore
from wsdash.backend.store.lease import LEASE_S, RENEW_S, LeaseLost
from wsdash.backend.system.runtime import Runtime
from wsdash.model import Attempt, Cause, Desired, End, Workspace

WORKERS = 4
DESIRED_POLL_S = 0.5
CONTEXTS_S = 10.0
"""Interval between checks for changed contexts in config.toml, in seconds."""
SOON_S = 0.02
FAILED_S = 15.0
LOOKING_S = 15 * 60.0
"""After this many seconds, a search for unsaved work that has not ended is started again."""
RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
BLOCKED_RETRY_S = (15.0, 60.0, 300.0)


class Reconciler:
    """Reconciles one state store while it holds the store's lease.

    `providers` returns the provider of each context that must be polled now.
    """

    def __init__(
        self,
        store: FencedStore,
        providers: Callable[[], Awaitable[Mapping[str, Provider]]],
        runtime: Runtime,
    ) -> None:
        self._store = store
        self._providers = providers
        self._runtime = runtime
        self._clock = runtime.clock
        self._queue = WorkQueue()
        self._pollers: dict[str, ContextPoller] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}
        self._put_off_until: dict[str, float] = {}
        self._given_up: dict[str, str] = {}
        """By workspace, the attempt that was given up, once that is recorded."""
        self._desired: dict[str, tuple[Desired, int]] = {}
        self._contexts: dict[str, str] = {}
        self._is_new_context = False
        self._unsaved_search = UnsavedSearch(store, runtime.clock, self.nudge)

    def nudge(self, workspace_id: str) -> None:
        """Reconcile this workspace before background work: its user's command was committed."""
        self._put_off_until.pop(workspace_id, None)
        self._queue.add(workspace_id, urgent=True)

    @property
    def has_work(self) -> bool:
        """Whether a workspace should run, or a job or workspace is still to be ended or removed."""
        return (
            any(poller.is_busy for poller in self._pollers.values())
            or not self._queue.is_idle()
            or self._unsaved_search.is_busy
            or Desired.RUNNING in (d for d, _ in self._desired.values())
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
            await self._unsaved_search.aclose()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew_lease())
            await self._start_pollers(tasks)
            tasks.create_task(self._poll_desired(tasks))
            for _ in range(WORKERS):
                tasks.create_task(self._work())

    # Observe.

    async def add_contexts(self) -> list[ContextPoller]:
        """Create and return a poller for each new context; a changed context is polled with its new settings."""
        added = []
        for context, provider in (await self._providers()).items():
            if context in self._pollers:
                self._pollers[context].set_provider(provider)
            else:
                poller = ContextPoller(context, provider, self._store, self._queue_due, self._runtime)
                self._pollers[context] = poller
                added.append(poller)
        return added

    async def poll(self, context: str) -> None:
        """Poll one context now."""
        await self._pollers[context].poll()

    async def _start_pollers(self, tasks: asyncio.TaskGroup) -> None:
        for poller in await self.add_contexts():
            tasks.create_task(poller.keep_polling())
            tasks.create_task(poller.listen())

    def _queue_due(
        self,
        poller: ContextPoller,
        workspaces: Mapping[str, Workspace],
        attempts: Mapping[str, Sequence[Attempt]],
    ) -> None:
        """Queue each workspace that needs a step, and set the timer for the earliest one that waits."""
        now = self._clock()
        soonest = rules.FOREVER
        for workspace in workspaces.values():
            self._desired[workspace.id] = (workspace.desired, workspace.generation)
            self._contexts[workspace.id] = poller.context
            decision = self._decide(workspace, attempts[workspace.id])
            if isinstance(decision, rules.Wait):
                soonest = min(soonest, decision.until)
                continue
            put_off_until = self._put_off_until.get(workspace.id, 0.0)
            if now < put_off_until:
                soonest = min(soonest, put_off_until)
            elif (
                not isinstance(decision, rules.GiveUp)
                or self._given_up.get(workspace.id) != decision.attempt.id
            ):
                self._queue.add(workspace.id)
        self._wake_at(poller.context, poller.context, soonest)
        gone = [
            i for i, context in self._contexts.items() if context == poller.context and i not in workspaces
        ]
        for workspace_id in gone:
            del self._contexts[workspace_id]
            self._desired.pop(workspace_id, None)

    def _decide(self, workspace: Workspace, attempts: Sequence[Attempt]) -> rules.Decision:
        """Decide from the same facts as `Reader.plan`: the context's last observation, and that of each live
        attempt.
        """
        poller = self._pollers.get(workspace.context)
        latest = poller.observation if poller is not None else None
        observation = None if latest is None else latest.of(attempts)
        return rules.decide(workspace, attempts, observation, self._clock())

    async def _poll_desired(self, tasks: asyncio.TaskGroup) -> None:
        """Pick up commits of other processes, and new or changed contexts."""
        rounds = 0
        while True:
            await asyncio.sleep(DESIRED_POLL_S)
            await log_failures("reading the desired states", self._take_up_desired())
            rounds += 1
            if self._is_new_context or rounds * DESIRED_POLL_S >= CONTEXTS_S:
                self._is_new_context, rounds = False, 0
                await log_failures("taking up a context", self._start_pollers(tasks))

    async def _take_up_desired(self) -> None:
        if not await self._store.transactions.changed_elsewhere():
            return
        for poller in self._pollers.values():
            poller.poll_soon()
        for workspace in await self._store.workspaces():
            desired = (workspace.desired, workspace.generation)
            if self._desired.get(workspace.id) != desired:
                self._desired[workspace.id] = desired
                self.nudge(workspace.id)

    # Act.

    async def _work(self) -> None:
        while True:
            workspace_id = await self._queue.take()
            try:
                if not await log_failures(f"reconciling {workspace_id}", self.step(workspace_id)):
                    self._put_off_until[workspace_id] = self._clock() + FAILED_S
            finally:
                self._queue.done(workspace_id)

    async def step(self, workspace_id: str) -> rules.Decision:
        """Decide for one workspace, carry out the decision, and queue the workspace again unless it was a wait."""
        workspace = await self._store.workspace(workspace_id)
        attempts = await self._store.attempts(workspace_id)
        decision = self._decide(workspace, attempts)
        if isinstance(decision, rules.Wait):
            self._is_new_context = self._is_new_context or workspace.context not in self._pollers
            self._wake_at(workspace.id, workspace.context, decision.until)
            return decision
        poller = self._pollers[workspace.context]
        try:
            await self._act(poller.provider, workspace, attempts, decision)
        except ProviderError as error:
            await self._put_off(poller, workspace, decision, error)
            return decision
        if isinstance(decision, rules.LookForUnsaved):
            return decision
        if isinstance(decision, rules.Cancel | rules.ForceCancel) and decision.attempt.last_error is not None:
            await self._store.clear_provider_error(decision.attempt)
        self._failures.pop(workspace_id, None)
        self._put_off_until.pop(workspace_id, None)
        if not isinstance(decision, rules.GiveUp):
            poller.is_busy = True
            poller.poll_soon()
        return decision

    async def _act(
        self,
        provider: Provider,
        workspace: Workspace,
        attempts: Sequence[Attempt],
        decision: rules.Decision,
    ) -> None:
        now = self._clock()
        match decision:
            case rules.Launch():
                await self._launch(provider, workspace, attempts, decision)
            case rules.Adopt(attempt, job, reason):
                found = replace(
                    attempt, launched_at=now, job_id=job.job_id, url=job.url, last_observation=job
                )
                if isinstance(provider, Adopts):
                    await provider.adopted(workspace, found)
                await self._store.adopt(found, now, reason)
            case rules.Cancel(attempt, reason, cause, autostop):
                if autostop and isinstance(provider, Savable):
                    # A restart that the user did not request must not cost work.
                    await provider.save(workspace, attempt)
                evidence = self._evidence(workspace, attempt)
                await self._store.record_cancel(attempt, now, reason, cause, evidence, autostop=autostop)
                await provider.cancel(attempt, workspace.policy.grace_s)
            case rules.ForceCancel(attempt, reason):
                evidence = self._evidence(workspace, attempt)
                await self._store.record_force_cancel(attempt, now, reason, evidence)
                await provider.force_cancel(attempt)
            case rules.LookForUnsaved():
                self._put_off_until[workspace.id] = now + LOOKING_S
                self._unsaved_search.start(provider, workspace, attempts)
            case rules.Destroy(reason):
                await self._store.renew(self._runtime.boot_clock())
                leftovers = await provider.destroy(workspace)
                last = {"after": attempts[-1].number} if attempts else {}
                await self._store.record_deletion(workspace.id, now, reason, last, leftovers)
            case rules.GiveUp(attempt, reason):
                await self._store.record_give_up(attempt, now, reason)
                self._given_up[workspace.id] = attempt.id
            case rules.Wait():
                pass

    async def _launch(
        self, provider: Provider, workspace: Workspace, attempts: Sequence[Attempt], decision: rules.Launch
    ) -> None:
        attempt = decision.attempt
        if attempt is None:
            number = attempts[-1].number + 1 if attempts else 1
            attempt = Attempt(
                self._runtime.new_id(), workspace.id, number, workspace.generation, self._clock()
            )
            evidence = {"after": attempts[-1].number} if attempts else {}
            await self._store.record_intent(attempt, decision.reason, evidence)
        else:
            await self._store.renew(self._runtime.boot_clock())
        workload = await self._store.workload(workspace.id)
        try:
            job = await provider.launch(workspace, attempt, workload)
        except OwnershipLost as error:
            await self._store.release(workspace.id, self._clock(), error.message)
            return
        except PermanentError as error:
            message = f"{error.message}. {error.hint}".strip()
            end = End(self._clock(), Cause.CONFIGURATION, None, message)
            await self._store.record_end(attempt, end)
            self._queue.add(workspace.id)
            return
        await self._store.record_launch(attempt, job, self._clock())

    def _evidence(self, workspace: Workspace, attempt: Attempt) -> dict[str, object]:
        poller = self._pollers[workspace.context]
        job = attempt.last_observation
        return {
            "desired": workspace.desired,
            "generation": workspace.generation,
            "job": job.state if job else None,
            "last_beat_at": job.beat.at if job and job.beat else None,
            "looked_at": poller.observation.at if poller.observation else None,
        }

    async def _put_off(
        self, poller: ContextPoller, workspace: Workspace, decision: rules.Decision, error: ProviderError
    ) -> None:
        """Record a refused or unanswered call as one event, and retry it later."""
        now = self._clock()
        if isinstance(error, InProgress):
            await self._store.record_progress(workspace.id, now, error.message)
            self._put_off_until[workspace.id] = now + poller.provider.poll_intervals.busy_s
            self._wake_at(workspace.id, workspace.context, self._put_off_until[workspace.id])
            return
        count = self._failures.get(workspace.id, 0)
        self._failures[workspace.id] = count + 1
        text = f"{error.message}. {error.hint}".strip()
        attempts = await self._store.attempts(workspace.id)
        attempt = next((a for a in reversed(attempts) if a.is_live), None)
        await self._store.record_provider_error(workspace.id, attempt, now, text)
        ladder = BLOCKED_RETRY_S if isinstance(error, PreconditionFailed | PermanentError) else RETRY_S
        retry_at = now + ladder[min(count, len(ladder) - 1)]
        self._put_off_until[workspace.id] = max(retry_at, error.retry_at or 0.0)
        self._wake_at(workspace.id, workspace.context, self._put_off_until[workspace.id])
        if isinstance(error, Unreachable):
            poller.mark_unreliable()
            if isinstance(decision, rules.Cancel) and decision.cause is Cause.RUNNER_LOST:
                await self._store.withdraw_cancel(decision.attempt, now, text)

    # Keep going.

    async def _renew_lease(self) -> None:
        """Renew the lease when polls do not: while a provider is slow or unreachable."""
        while True:
            await asyncio.sleep(RENEW_S / 3)
            now = self._runtime.boot_clock()
            if now - self._store.renewed_at < RENEW_S + 1.0:
                continue
            renewed = await log_failures("renewing the lease", self._store.renew(now))
            if not renewed and now - self._store.renewed_at > LEASE_S:
                raise LeaseLost("it could not be renewed in time")

    def _wake_at(self, what: str, context: str, when: float) -> None:
        """Poll the context at that time, so that the next decision uses fresh facts.

        `what` is the workspace that waits, or the context for the first of all.
        """
        previous = self._timers.pop(what, None)
        if previous is not None:
            previous.cancel()
        poller = self._pollers.get(context)
        if when == rules.FOREVER or poller is None:
            return
        delay = max(SOON_S, when - self._clock())
        self._timers[what] = asyncio.get_running_loop().call_later(delay, poller.poll_soon)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
