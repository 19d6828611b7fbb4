"""The values that providers take and return. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wsdash.model import Attempt, JobObservation, UnsavedTotals, Workspace
from wsdash.workload import Secret, Workload


@dataclass(frozen=True, slots=True)
class PollIntervals:
    """Seconds between two polls: while something changes, while jobs run, while nothing is to run."""

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
    """Bytes of a log from `offset` on. `size` is the log's length now, 0 if it is not known; `ended` says it will not
    grow. A log that became shorter was cut, and what follows its beginning is other text than before.
    """

    data: bytes
    offset: int
    size: int
    ended: bool


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """A process for the user's own terminal that runs inside the workspace; `by_tunnel` if it connects by ssh."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str | None = None
    by_tunnel: bool = False
    probe: tuple[str, ...] = ()
    """A command that does nothing inside, by which to see why a connection cannot be made."""

    def lost_connection(self, exit_code: int) -> bool:
        """Whether it ended because its connection did, for example with its job: ssh reports that by its exit code."""
        return self.by_tunnel and exit_code == 255


@dataclass(frozen=True, slots=True)
class CheckoutQuery:
    """A program of POSIX sh with its arguments, and the limits of its output in bytes and of its time in seconds.

    It is run with `argv`, and gets `program` on standard input: less than 128 KiB.
    """

    program: bytes
    words: tuple[str, ...]
    most: int
    timeout_s: float

    @property
    def argv(self) -> tuple[str, ...]:
        """The command. It reads the program from standard input, which has no length limit unlike a command line."""
        return ("sh", "-c", 'p=$(cat) && exec sh -c "$p" sh "$@" </dev/null', "sh", *self.words)


@dataclass(frozen=True, slots=True)
class FileTotals:
    """The number and total bytes of files that are not unsaved work."""

    files: int
    size: int


@dataclass(frozen=True, slots=True)
class UnsavedWork:
    """Work that exists only in this workspace, as lines for the user: ` M src/app.py`, `1a2b3c4 Fix the parser`.

    `files` are those outside of any Git repository; `unreadable` lists paths that could not be read, so that there
    may be more. Each list has at most a hundred lines, the last one with the number of further ones. Untrusted text.
    """

    uncommitted: tuple[str, ...] = ()
    unpushed: tuple[str, ...] = ()
    stashes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    totals: UnsavedTotals = field(default_factory=UnsavedTotals)
    ignored: FileTotals | None = None
    home: FileTotals | None = None
    """The home folder and volumes, which do not count as unsaved work."""
    state: str = ""
    """A hash that changes with this work, including the content of changed files; empty unless requested."""

    def __bool__(self) -> bool:
        """Whether work would or might be lost."""
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
    """The provider's features here, as sentences for `doctor` and the dashboard.

    `isolation` is the kind that jobs run in; `honours_image` says whether the devfile's image is used, and
    `starts_services` whether its other containers are started; `notes` explain missing features and how to get
    them.
    """

    isolation: str
    honours_image: bool
    notes: tuple[str, ...] = ()
    starts_services: bool = False


Level = Literal["ok", "warning", "blocked"]
"""`blocked` means that something, such as a launch, does not work until it is fixed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, for example of a token's rights or a disk. `hint` is the next step."""

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
    """A secret without a value, which `keep_secrets` could store."""


@dataclass(frozen=True, slots=True)
class FoundWorkspace:
    """A workspace as the provider knows it. `desired` is derived from its jobs.

    `kept_by` names the machine that keeps it alive; `is_own` means that this is this state store.
    """

    workspace: Workspace
    workload: Workload
    attempts: tuple[Attempt, ...]
    kept_by: str
    is_own: bool

    @property
    def is_live(self) -> bool:
        """Whether one of its jobs may still run."""
        return any(attempt.is_live for attempt in self.attempts)


@dataclass(frozen=True, slots=True)
class Orphan:
    """Leftovers at the provider of a workspace whose description is lost. `job_ids` may still run."""

    workspace_id: str
    reason: str
    job_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """All workspaces of a provider. For other users' workspaces there is only the number."""

    workspaces: tuple[FoundWorkspace, ...]
    orphans: tuple[Orphan, ...]
    others: int = 0
