"""A provider in memory and a reconciler that can be killed at every call, on a clock that tests move.

The provider checks the invariants of design section 4 itself: it refuses to be told to break them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wsdash.backend.archive import tar
from wsdash.backend.archive.streams import ByteSink, ByteSource
from wsdash.backend.providers.errors import PreconditionFailed, Unreachable
from wsdash.backend.providers.types import (
    Capabilities,
    LogChunk,
    PackReport,
    PollIntervals,
    ProviderSnapshot,
)
from wsdash.backend.reconcile.reconciler import Reconciler
from wsdash.backend.rules.decide import Wait
from wsdash.backend.store import database
from wsdash.backend.store.fenced_store import FencedStore
from wsdash.backend.store.lease import LeaseLost
from wsdash.backend.store.reader import Reader
from wsdash.backend.store.store import Store
from wsdash.backend.store.transactions import Transactions
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.backend.system.runtime import Runtime
from wsdash.model import (
    Attempt,
    Beat,
    Cause,
    Desired,
    JobObservation,
    JobState,
    Policy,
    Workspace,
)
from wsdash.paths import Paths
from wsdash.workload import Workload

START = 1_700_000_000.0
PACE = PollIntervals(busy_s=1.0, steady_s=15.0, idle_s=15.0)


class Killed(BaseException):
    """The reconciler's process was killed on this line."""


@dataclass
class Fuse:
    """Burns down with each call of the outside world, and kills the process when it has burnt out."""

    left: int | None = None

    def burn(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Killed


@dataclass
class Job:
    attempt_id: str
    workspace_id: str
    number: int
    generation: int
    started_at: float
    state: JobState = JobState.RUNNING
    cause: Cause | None = None
    ended_at: float | None = None
    obeys: bool = True
    """Whether it ends when it is asked to."""


@dataclass
class Provider:
    """Jobs in memory. `drop_replies` does what it is asked but lets the answer get lost."""

    kind: str = "memory"
    poll_intervals: PollIntervals = PACE
    now: float = START
    fuse: Fuse = field(default_factory=Fuse)
    jobs: dict[str, Job] = field(default_factory=dict)
    volumes: set[str] = field(default_factory=set)
    is_reachable: bool = True
    drop_replies: bool = False
    blocked: str = ""
    """The reason why no job is created, if none is."""
    is_silent: bool = False
    """Whether heartbeats stay away."""
    refuses_acts: bool = False
    """Whether it can be looked at, and does nothing."""
    launches: int = 0
    prepared: set[str] = field(default_factory=set)
    """Attempts of which all was done that a launch does beside making the job."""

    def live(self, workspace_id: str) -> list[Job]:
        return [
            job
            for job in self.jobs.values()
            if job.workspace_id == workspace_id and job.state is not JobState.ENDED
        ]

    async def launch(self, workspace: Workspace, attempt: Attempt, workload: Workload) -> JobObservation:
        self._called()
        if self.blocked:
            raise PreconditionFailed(self.blocked)
        if attempt.id not in self.jobs:
            assert not self.live(workspace.id), "I1: a second job beside a live one"
            self.launches += 1
            self.jobs[attempt.id] = Job(
                attempt.id, workspace.id, attempt.number, attempt.generation, self.now
            )
            self.volumes.add(workspace.id)
        self._replying()
        self.prepared.add(attempt.id)
        return self._observed(self.jobs[attempt.id])

    async def adopted(self, workspace: Workspace, attempt: Attempt) -> None:
        self._called()
        self.prepared.add(attempt.id)

    async def observe(self) -> ProviderSnapshot:
        self._called()
        return ProviderSnapshot(self.now, tuple(map(self._observed, self.jobs.values())))

    async def cancel(self, attempt: Attempt, grace_s: float) -> None:
        self._called()
        if self.refuses_acts:
            raise Unreachable("it is being maintained")
        job = self.jobs.get(attempt.id)
        if job is None:
            self.jobs[attempt.id] = Job(
                attempt.id,
                attempt.workspace_id,
                attempt.number,
                attempt.generation,
                self.now,
                JobState.ENDED,
                Cause.CANCELLED,
                self.now,
            )
        elif job.obeys:
            self.end(job, Cause.CANCELLED)
        self._replying()

    async def force_cancel(self, attempt: Attempt) -> None:
        self._called()
        self.end(self.jobs[attempt.id], Cause.RUNNER_LOST)
        self._replying()

    async def destroy(self, workspace: Workspace) -> str | None:
        self._called()
        assert not self.live(workspace.id), "a volume was destroyed under a live job"
        self.volumes.discard(workspace.id)
        self.jobs = {key: job for key, job in self.jobs.items() if job.workspace_id != workspace.id}
        self._replying()
        return None

    def end(self, job: Job, cause: Cause) -> None:
        if job.state is not JobState.ENDED:
            job.state, job.cause, job.ended_at = JobState.ENDED, cause, self.now

    async def changes(self) -> AsyncIterator[frozenset[str]]:
        return
        yield frozenset()

    async def read_log(self, attempt: Attempt, offset: int, limit: int) -> LogChunk:
        return LogChunk(b"", offset, 0, True)

    async def pack(self, workspace: Workspace, sink: ByteSink) -> PackReport:
        sink.write(tar.END)
        return PackReport()

    @asynccontextmanager
    async def unpack(
        self, workspace: Workspace, source: ByteSource, known: Callable[[], Awaitable[Collection[str]]]
    ) -> AsyncIterator[None]:
        self._called()
        assert list(tar.read_members(source)) == [], "there are no files in memory"
        self.volumes.add(workspace.id)
        try:
            yield
        except Exception:
            self.volumes.discard(workspace.id)
            raise

    async def capabilities(self) -> Capabilities:
        return Capabilities("memory", True)

    async def aclose(self) -> None:
        pass

    def _called(self) -> None:
        self.fuse.burn()
        if not self.is_reachable:
            raise Unreachable("the network is unplugged")

    def _replying(self) -> None:
        self.fuse.burn()
        if self.drop_replies:
            raise Unreachable("the answer got lost")

    def _observed(self, job: Job) -> JobObservation:
        is_live = job.state in (JobState.RUNNING, JobState.STARTING)
        return JobObservation(
            attempt_id=job.attempt_id,
            state=job.state,
            job_id=job.attempt_id,
            created_at=job.started_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
            ready_at=job.started_at,
            beat=Beat(job.started_at if self.is_silent else self.now) if is_live else None,
            exit_code=None if job.ended_at is None else 1,
            cause=job.cause,
            workspace_id=job.workspace_id,
            number=job.number,
            generation=job.generation,
        )


class BurningTransactions(Transactions):
    """Transactions whose process may be killed before and after each commit, and amid each transaction."""

    fuse: Fuse

    async def _attempt(self, body, token):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        async def burning() -> object:
            result = await body()
            self.fuse.burn()  # all is written, nothing is committed
            return result

        return await super()._attempt(burning, token)

    async def _transact(self, body, token):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        self.fuse.burn()
        result = await super()._transact(body, token)
        self.fuse.burn()
        return result


class World:
    """One store, one provider, and a reconciler that is made anew whenever it was killed."""

    def __init__(self, store: Store, paths: Paths, provider: Provider, policy: Policy) -> None:
        self.store = store
        self.reader = Reader(paths)
        self.provider = provider
        self.policy = policy
        self.reconciler: Reconciler | None = None
        self.kills = 0
        self._ids = 0
        self._fenced: FencedStore | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, policy: Policy | None = None) -> AsyncIterator[World]:
        paths = Paths(folder / "state", folder / "config", folder / "cache")
        database.prepare(paths)
        async with BurningTransactions.open(paths) as transactions:
            provider = Provider()
            transactions.fuse = provider.fuse
            world = cls(Store(transactions), paths, provider, policy or Policy(ladder_s=(5.0, 10.0)))
            yield world
            world.reader.close()

    def new_id(self) -> str:
        self._ids += 1
        return f"id{self._ids}"

    async def create(self, name: str) -> str:
        workspace = Workspace(
            id=self.new_id(),
            name=name,
            context="memory",
            source_url=None,
            ref=None,
            devfile_path=None,
            desired=Desired.RUNNING,
            generation=1,
            policy=self.policy,
            created_at=self.provider.now,
            desired_changed_at=self.provider.now,
        )
        await self.store.create_workspace(workspace, Workload(), "created")
        return workspace.id

    async def want(self, workspace_id: str, desired: Desired, *, new_generation: bool = False) -> None:
        await self.store.set_desired_state(
            workspace_id, desired, new_generation=new_generation, now=self.provider.now, text="asked"
        )

    async def tick(self, seconds: float = 1.0) -> None:
        """Let time pass, look once, and carry out every step that is due; a killed process is replaced."""
        self.provider.now += seconds
        try:
            reconciler = self.reconciler or await self._start()
            await reconciler.poll("memory")
            for workspace in await self.store.workspaces():
                for _ in range(5):
                    if isinstance(await reconciler.step(workspace.id), Wait):
                        break
        except Killed:
            self.kills += 1
            self.reconciler = None
        except LeaseLost:
            self.reconciler = None

    async def step(self, workspace_id: str, times: int) -> None:
        """Decide and act without a look, as a worker does that is quicker than the provider."""
        try:
            reconciler = self.reconciler or await self._start()
            for _ in range(times):
                await reconciler.step(workspace_id)
        except Killed:
            self.kills += 1
            self.reconciler = None

    async def settle(self) -> None:
        """The faults end; give every backoff and grace time to pass."""
        self.provider.fuse.left = None
        self.provider.is_reachable, self.provider.drop_replies = True, False
        for _ in range(12):
            await self.tick(20.0)

    async def _start(self) -> Reconciler:
        if self._fenced is not None:  # of a process that was killed
            await self._fenced.give_up_lease()
        self._fenced = await FencedStore.acquire(
            self.store, "daemon", ProcessIdentity.own(), self.provider.now
        )
        assert self._fenced is not None
        runtime = Runtime(self._clock, self._clock, lambda: 0.5, self.new_id)
        self.reconciler = Reconciler(self._fenced, self._contexts, runtime)
        await self.reconciler.add_contexts()
        return self.reconciler

    async def _contexts(self) -> dict[str, Provider]:
        return {"memory": self.provider}

    @property
    def _clock(self) -> Callable[[], float]:
        return lambda: self.provider.now
