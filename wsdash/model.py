"""The domain's values: workspaces, attempts, observations, events, phases.

Frozen dataclasses without I/O. Every instant is in seconds since the epoch (UTC) and every duration in seconds,
unless its name says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from wsdash.frozen import dataclass, field


class Desired(StrEnum):
    """The desired state of a workspace."""

    RUNNING = "running"
    STOPPED = "stopped"
    DELETED = "deleted"


class Phase(StrEnum):
    """The phase of a workspace. Never stored: computed by `wsdash.backend.rules.status.status`."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    UNHEALTHY = "unhealthy"
    BACKING_OFF = "backing-off"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DELETING = "deleting"
    DELETED = "deleted"
    UNKNOWN = "unknown"


class JobState(StrEnum):
    """The state of one job, as its provider reports it.

    `HELD` cannot be taken by a runner yet: the provider holds it back; `QUEUED` waits for a runner; `STARTING`
    has one but runs no user command yet; `LOST` means that its supervisor died and parts of it may still
    run, so it must be force-cancelled before it can be replaced.
    """

    HELD = "held"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"
    LOST = "lost"
    ENDED = "ended"


class Cause(StrEnum):
    """The cause of a job's end. Each cause has its own remedy (design section 3, rule 6)."""

    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    USER_CODE = "user-code"
    KILLED = "killed"
    IMAGE = "image"
    SOURCE = "source"
    RUNNER_LOST = "runner-lost"
    TIMEOUT = "timeout"
    QUEUE = "queue"
    NO_RUNNER = "no-runner"
    QUOTA = "quota"
    PERMISSION = "permission"
    CONFIGURATION = "configuration"


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits that apply to one workspace: restarts, deadlines, autostop, autodelete. Design section 3."""

    grace_s: float = 30.0
    """The time from a graceful cancel to the force-cancel."""
    lost_grace_s: float = 30.0
    """The same for a job that is cancelled because its heartbeats are missing."""
    beat_s: float = 10.0
    """The interval of heartbeats."""
    checkpoint_s: float = 60.0
    """The shortest interval of checkpoints of a job that is not on this machine."""
    suspect_s: float = 30.0
    dead_s: float = 90.0
    """A job without heartbeats for that long is dead, if the provider is reachable."""
    ladder_s: tuple[float, ...] = (15.0, 30.0, 60.0, 120.0, 300.0, 600.0)
    """The waits before the second and later restarts of an episode; the first restart does not wait."""
    start_limit: int = 10
    """Restarts in one episode before the workspace is `failed` and waits for the user."""
    quiet_s: float = 6 * 3600.0
    """A gap between two crashes that ends an episode."""
    absent_s: float = 60.0
    """The time for which a provider may not list a job that it has just accepted."""
    held_s: float = 600.0
    """The time for which a provider may hold a job back before another one replaces it."""
    queue_s: float = 25 * 3600.0
    """The time for which a job may wait for a runner: longer than GitLab, which drops it after a day."""
    start_s: float = 1800.0
    """The time from getting a runner to the first heartbeat, in which images are pulled."""
    shortest_run_s: float = 60.0
    """A planned end earlier than this after the start counts as a crash."""
    max_hours: float | None = None
    idle_minutes: float | None = None
    idle_cpu: float = 0.3
    """The number of cores that a container may use while it counts as idle."""
    keep_awake: tuple[str, ...] = ()
    """Names of processes that count as activity while they run, as in `/proc/PID/comm`."""
    delete_after_stopped_hours: float | None = None
    delete_unsaved_work: bool = False
    """Whether that also deletes workspaces with unsaved work."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The user's specification: a source, a workload, a desired state, a policy.

    `generation` grows with each command that asks for a new attempt (start, restart, a changed workload).
    Attempts of an older generation are superseded, and their crashes no longer count. The newest attempt's
    `number` fences in the other direction: a job with a lower one ends itself.
    """

    id: str
    name: str
    context: str
    source_url: str | None
    ref: str | None
    devfile_path: str | None
    desired: Desired
    generation: int
    policy: Policy
    created_at: float
    desired_changed_at: float
    """The time of the last change of `desired` or `generation` by the user or an autostop."""
    deleted_at: float | None = None
    autostop_not_before: float | None = None
    """The time before which the user wants no autostop."""
    unsaved: UnsavedRecord | None = None
    """The last record of unsaved work: made at a stop, before an autodelete, or on request."""

    @property
    def project(self) -> str:
        """The last part of the source's path without `.git`, shown as the project's name."""
        return (self.source_url or "").rstrip("/").removesuffix(".git").replace(":", "/").rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class UnsavedRecord:
    """The unsaved work of a workspace at `at`; `announced_at` is the time of the warning of its autodelete."""

    at: float
    totals: UnsavedTotals
    announced_at: float | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """One heartbeat, sent by the running job itself. Memory and disk are in bytes."""

    at: float
    load: float | None = None
    memory: int | None = None
    disk_free: int | None = None
    active_at: float | None = None
    """The time of the user's last activity; None if the job does not know it."""
    shells: int | None = None
    """The number of open sessions (shells and running commands); None if it is not known."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """One phase or command of a job, as the job reported it. `exit_code` is None while it runs.

    `log_start` and `log_end` are byte offsets in the attempt's log.
    """

    phase: str
    command: str | None
    started_at: float
    ended_at: float | None = None
    exit_code: int | None = None
    log_start: int | None = None
    log_end: int | None = None

    @property
    def failed(self) -> bool:
        """Whether the step has ended with an exit code other than 0."""
        return self.exit_code not in (None, 0)

    @property
    def title(self) -> str:
        """The phase and, if there is one, the command."""
        return f"{self.phase} {self.command}" if self.command else self.phase


@dataclass(frozen=True, slots=True)
class UnsavedTotals:
    """The amount of unsaved work of a workspace. `is_whole` is False if something could not be read."""

    commits: int = 0
    stashes: int = 0
    files: int = 0
    is_whole: bool = True

    @property
    def holds(self) -> bool:
        """Whether deleting the workspace loses work, or may lose work."""
        return not self.is_whole or self.commits + self.stashes + self.files > 0

    @property
    def words(self) -> str:
        """`2 commits, 1 stash and 3 files`; "" for nothing."""
        counted = [(self.commits, "commit"), (self.stashes, "stash"), (self.files, "file")]
        more = {"commit": "commits", "stash": "stashes", "file": "files"}
        found = [f"{n} {one if n == 1 else more[one]}" for n, one in counted if n]
        return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)

    @property
    def sentence(self) -> str:
        """`1 commit and 1 file are unsaved`; "" for nothing."""
        if not self.words:
            return "" if self.is_whole else "it is unknown whether it has unsaved work"
        verb = "is" if self.commits + self.stashes + self.files == 1 else "are"
        return f"{self.words} {verb} unsaved{'' if self.is_whole else ', and there may be more'}"


@dataclass(frozen=True, slots=True)
class JobObservation:
    """The job of an attempt as its provider reported it. Everything except the state may be unknown.

    `message` is the last message of the job, or of the provider about it: untrusted text.
    `isolation` is the kind of sandbox of the job: `podman`, `docker`, `bubblewrap`, `plain`, or an executor.
    """

    attempt_id: str
    state: JobState
    job_id: str
    url: str | None = None
    created_at: float | None = None
    started_at: float | None = None
    """The start of the job, from which on heartbeats are due; None before the first sign of life."""
    ended_at: float | None = None
    ready_at: float | None = None
    """The end of postStart, from which on the workspace can be used."""
    beat: Beat | None = None
    steps: tuple[StepResult, ...] = ()
    exit_code: int | None = None
    cause: Cause | None = None
    message: str | None = None
    isolation: str | None = None
    workspace_id: str = ""
    number: int = 0
    generation: int = 0
    """The generation. With `workspace_id` and `number` it suffices to adopt a job that the store does not know."""
    state_since: float | None = None
    """The time at which the job entered this state; None if the provider does not report it."""
    saved_at: float | None = None
    """The recovery point: the state of the work at that time is stored outside of the job."""
    checkpoint_in: str | None = None
    """The place of that checkpoint: `here`, on this machine, `project` or `elsewhere`; None if it is not known."""
    tunnel_status: str | None = None
    """The state of a running job's ssh tunnel, in words; None if the provider needs no tunnel."""
    warning: str | None = None
    """A limitation of the runner or the image that the user should know about, as a sentence."""
    on_volume: bool = False
    """Whether its files are on a volume that the next job gets again."""
    saves_on_exit: bool = True
    """Whether the job saves its files when it exits on its own."""
    checkpoint_error: str | None = None
    """The error of the newest checkpoint, in words; None after a success."""
    left: UnsavedTotals | None = None
    """The unsaved work that the job found as it ended; None if that is not known."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One poll's result for the jobs of one workspace.

    `at` is on the provider's clock. `watching_since` is the start of the current uninterrupted watch: after a
    pause of wsdash itself (a suspended laptop, a stopped process) heartbeats get time to arrive before a job
    counts as dead.
    """

    at: float
    reachable: bool
    watching_since: float
    jobs: tuple[JobObservation, ...] = ()
    last_error: str | None = None
    _by_attempt: Mapping[str, JobObservation] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_attempt", {job.attempt_id: job for job in reversed(self.jobs)})

    def of(self, attempts: Iterable[Attempt]) -> Observation:
        """Return the observation of these attempts' jobs, each as last seen."""
        jobs = tuple(a.last_observation for a in attempts if a.is_live and a.last_observation is not None)
        return Observation(self.at, self.reachable, self.watching_since, jobs, self.last_error)

    def job_of(self, attempt_id: str) -> JobObservation | None:
        """Return the job of an attempt, None if this observation has none."""
        return self._by_attempt.get(attempt_id)


@dataclass(frozen=True, slots=True)
class End:
    """The end of an attempt."""

    at: float
    cause: Cause
    exit_code: int | None = None
    message: str | None = None

    @property
    def headline(self) -> str:
        """Cause, exit code and the last line of the message: short enough for a sentence."""
        return self.tail(1)

    def tail(self, lines: int) -> str:
        """Cause, exit code and the last lines of the message, in one line."""
        summary = " / ".join(
            [line.strip() for line in (self.message or "").splitlines() if line.strip()][-lines:]
        )
        if self.cause is Cause.KILLED and summary:
            return summary  # it names the signal, from which the exit code is derived
        code = "" if self.exit_code is None else f", exit {self.exit_code}"
        return f"{self.cause}{code}" + (f": {summary}" if summary else "")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One launch of a workspace's workload.

    `id` is the idempotency key that the provider keeps. `number` counts the workspace's attempts from 1.
    The row is committed (`intended_at`) before the provider is called; `launched_at` and `job_id` follow
    its answer.
    """

    id: str
    workspace_id: str
    number: int
    generation: int
    intended_at: float
    launched_at: float | None = None
    job_id: str | None = None
    url: str | None = None
    cancel_requested_at: float | None = None
    cancel_reason: str | None = None
    cancel_cause: Cause | None = None
    """`CANCELLED` if the end was requested; another cause if the job was cancelled because it was dead."""
    force_cancelled_at: float | None = None
    end: End | None = None
    last_observation: JobObservation | None = None
    """The provider's last report on the job."""
    last_error: str | None = None
    """The error of the provider's last operation for this attempt; None after a success."""

    @property
    def is_live(self) -> bool:
        """Whether its job may still run: True until it is known to have ended."""
        return self.end is None


@dataclass(frozen=True, slots=True)
class Event:
    """An event in a workspace's timeline, with its cause and evidence.

    `actor` is `user`, `reconciler` or `job`. `evidence` has the facts that led to it.
    """

    id: int
    at: float
    workspace_id: str
    attempt: int | None
    actor: str
    kind: str
    text: str
    evidence: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Status:
    """A workspace's phase, and the reason as a sentence for users.

    `healthy` is None if it is not known. `until` is the time at which the phase changes by itself, if it does.
    """

    phase: Phase
    reason: str
    healthy: bool | None = None
    until: float | None = None
    condition: str = ""
    """A condition beside the phases running and starting: `degraded` (a step of the setup failed) or
    `crash-loop` (the jobs crash repeatedly)."""
