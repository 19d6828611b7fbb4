"""What providers are given and give back, as values. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wsdash.model import Attempt, JobObservation, UnsavedTotals, Workspace
from wsdash.workload import Secret, Workload


@dataclass(frozen=True, slots=True)
class PollIntervals:
    """Seconds between two looks: while something changes, while jobs run, while nothing is to run."""

    busy_s: float
    steady_s: float
    idle_s: float


@dataclass(frozen=True, slots=True)
class ProviderSnapshot:
    """The answer to one `observe`: the provider's clock, and every job that it knows."""

    at: float
    jobs: tuple[JobObservation, ...]


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Bytes of a log from `offset` on. `size` is the log's length now; `ended` says it will not grow."""

    data: bytes
    offset: int
    size: int
    ended: bool


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """A process for the user's own terminal that stands inside the workspace: by ssh, where it stands `by_tunnel`."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str | None = None
    by_tunnel: bool = False

    def lost_connection(self, exit_code: int) -> bool:
        """Whether it ended since its connection did, as with its job: ssh says so by its exit code."""
        return self.by_tunnel and exit_code == 255


@dataclass(frozen=True, slots=True)
class CheckoutQuery:
    """A program of POSIX sh and its arguments, and how many bytes and seconds its answer may take.

    It is run with `argv`, and gets `program` as its standard input: less than 128 KiB.
    """

    program: bytes
    words: tuple[str, ...]
    most: int
    timeout_s: float

    @property
    def argv(self) -> tuple[str, ...]:
        """Takes the program from standard input, so that no length of a command line limits it."""
        return ("sh", "-c", 'p=$(cat) && exec sh -c "$p" sh "$@" </dev/null', "sh", *self.words)


@dataclass(frozen=True, slots=True)
class FileTotals:
    """The number and total bytes of files that are not unsaved work."""

    files: int
    size: int


@dataclass(frozen=True, slots=True)
class UnsavedWork:
    """What only this workspace has, as lines for the user: ` M src/app.py`, `1a2b3c4 Fix the parser`.

    `files` are those outside of any Git repository; `unreadable` lists what could not be read, so that there may
    be more. At most a hundred lines each are kept; a last line says how many more there are. Untrusted text.
    """

    uncommitted: tuple[str, ...] = ()
    unpushed: tuple[str, ...] = ()
    stashes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    totals: UnsavedTotals = field(default_factory=UnsavedTotals)
    ignored: FileTotals | None = None
    home: FileTotals | None = None
    """The home folder and volumes, which are no unsaved work."""
    state: str = ""
    """Another one after any change to this work, also of what a changed file holds; empty where nobody asked for it."""

    def __bool__(self) -> bool:
        """Whether something would be lost, or might be."""
        lines = (self.uncommitted, self.unpushed, self.stashes, self.files, self.unreadable)
        return self.totals.holds or any(lines)


@dataclass(frozen=True, slots=True)
class PackReport:
    """Paths below the workspace's folder that `pack` skipped or saw change: untrusted text.

    `skipped` are sockets, devices and the like; `changed` are files that changed while they were read.
    """

    skipped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this provider offers here and now, in words for `doctor` and the dashboard.

    `isolation` is what jobs run in; `honours_image` says whether the devfile's image is used, and
    `starts_services` whether its other containers run beside the job; `notes` explain what is missing
    and what would bring it.
    """

    isolation: str
    honours_image: bool
    notes: tuple[str, ...] = ()
    starts_services: bool = False


Level = Literal["ok", "warning", "blocked"]
"""Blocked: something does not work, such as a launch, until it is fixed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, such as a token's rights or a disk. `hint` says what is to be done."""

    level: Level
    message: str
    hint: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Limitation:
    """A requested feature that this provider does not support, with a hint."""

    text: str
    hint: str = ""
    secret: Secret | None = None
    """The secret that nobody has given yet, where `keep_secrets` would take its value."""


@dataclass(frozen=True, slots=True)
class FoundWorkspace:
    """A workspace as the provider knows it. `desired` is what its jobs tell of it.

    `kept_by` names the machine that keeps it alive; `is_own` says that it is this state store.
    """

    workspace: Workspace
    workload: Workload
    attempts: tuple[Attempt, ...]
    kept_by: str
    is_own: bool

    @property
    def is_live(self) -> bool:
        """Whether a job of it may still run."""
        return any(attempt.is_live for attempt in self.attempts)


@dataclass(frozen=True, slots=True)
class Orphan:
    """What is left at the provider of a workspace that nobody can describe. `job_ids` may still run."""

    workspace_id: str
    reason: str
    job_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything of workspaces that a provider has. Of other users' there is only the number."""

    workspaces: tuple[FoundWorkspace, ...]
    orphans: tuple[Orphan, ...]
    others: int = 0
