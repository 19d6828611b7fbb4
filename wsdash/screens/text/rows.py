"""The lines of the list, made from the store's rows, and the difference between two lists. Pure."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wsdash.backend.rules.autodelete import warning
from wsdash.backend.rules.recovery_point import words
from wsdash.backend.rules.status import WARNING_S, words_for_seconds
from wsdash.backend.store.reader import WorkspaceRow
from wsdash.model import Phase, Status
from wsdash.screens.text.glyphs import TONES, Glyphs
from wsdash.screens.text.spans import Line, Tone, plain


@dataclass(frozen=True, slots=True)
class RowView:
    """One line of the list, as text that is safe to show. `key` is the workspace's id."""

    key: str
    status: str
    name: str
    project: str
    health: str
    age: str
    saved: str
    event: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class RowsPatched:
    """The rows to paint to get from one list to the next, as keys.

    `moved` are all rows whose position differs.
    """

    added: frozenset[str]
    removed: frozenset[str]
    moved: frozenset[str]
    changed: frozenset[str]

    @property
    def nothing(self) -> bool:
        """Whether the lists are equal."""
        return not (self.added or self.removed or self.moved or self.changed)

    @property
    def in_place(self) -> bool:
        """Whether every row stays on its line."""
        return not (self.added or self.removed or self.moved)


def patch(old: Sequence[RowView], new: Sequence[RowView]) -> RowsPatched:
    """Return the difference between two lists of rows with unique keys."""
    before = {row.key: (place, row) for place, row in enumerate(old)}
    after = {row.key: (place, row) for place, row in enumerate(new)}
    both = before.keys() & after.keys()
    return RowsPatched(
        added=frozenset(after.keys() - before.keys()),
        removed=frozenset(before.keys() - after.keys()),
        moved=frozenset(key for key in both if before[key][0] != after[key][0]),
        changed=frozenset(key for key in both if before[key][1] != after[key][1]),
    )


def row_view(row: WorkspaceRow, now: float, glyphs: Glyphs) -> RowView:
    """Return the line of one workspace."""
    phase = row.status.phase
    return RowView(
        key=row.workspace.id,
        status=f"{glyphs.phases[Phase.UNHEALTHY if row.status.condition else phase]} {phase}",
        name=plain(row.workspace.name),
        project=project_words(row),
        health=health_words(row.status),
        age=age_words(now - row.workspace.created_at),
        saved=words(row.saved, now, coarse=True),
        event=plain(row.event.text) if row.event else "",
        tone=Tone.WARN if row.status.condition else TONES[phase],
    )


def project_words(row: WorkspaceRow) -> str:
    """Return `project@ref`, without the parts that are not set."""
    workspace = row.workspace
    if not workspace.source_url:
        return "(no repository)"
    return plain(f"{workspace.project}@{workspace.ref}" if workspace.ref else workspace.project)


def health_words(status: Status) -> str:
    """Return one word; an empty text if nothing is known."""
    return status.condition or {True: "healthy", False: "unhealthy", None: ""}[status.healthy]


def age_words(seconds: float) -> str:
    """Return an age in one unit, coarse so that an idle list is not repainted every second."""
    return "< 1 min" if seconds < 60 else words_for_seconds(seconds)


def next_age_change(seconds: float) -> float:
    """Return the seconds until `age_words` changes."""
    for size in (86400.0, 3600.0, 60.0):
        if seconds >= size:
            return size - seconds % size
    return 60.0 - max(0.0, seconds)


def matches(row: WorkspaceRow, words: str) -> bool:
    """Whether all words of the filter occur in the row, in any letter case."""
    searched = " ".join(
        (
            row.workspace.name,
            project_words(row),
            row.status.phase,
            row.status.reason,
            row.workspace.context,
            health_words(row.status),
        )
    ).lower()
    return all(word in searched for word in words.lower().split())


def count_words(rows: Sequence[WorkspaceRow]) -> Line:
    """Return the number of workspaces in each phase, the worst first, each in its tone."""
    if not rows:
        return (("no workspaces", Tone.MUTED),)
    order = (
        Phase.FAILED,
        Phase.UNHEALTHY,
        Phase.BACKING_OFF,
        Phase.UNKNOWN,
        Phase.STARTING,
        Phase.PENDING,
        Phase.STOPPING,
        Phase.DELETING,
        Phase.RUNNING,
        Phase.STOPPED,
    )
    counted = Counter(row.status.phase for row in rows)
    total = "1 workspace" if len(rows) == 1 else f"{len(rows)} workspaces"
    spans: list[tuple[str, Tone]] = [(total, Tone.PLAIN)]
    for phase in order:
        if counted[phase]:
            spans += [("  ", Tone.MUTED), (f"{counted[phase]} {phase}", TONES[phase])]
    for condition, count in sorted(
        Counter(row.status.condition for row in rows if row.status.condition).items()
    ):
        spans += [("  ", Tone.MUTED), (f"{count} {condition}", Tone.WARN)]
    return tuple(spans)


@dataclass(frozen=True, slots=True)
class EndAhead:
    """An autostop or autodelete that comes soon. `key` identifies it over several readings."""

    key: tuple[str, float]
    text: str
    hint: str


def ends_ahead(rows: Sequence[WorkspaceRow], now: float) -> Iterator[EndAhead]:
    """Yield the autostops and autodeletes of which the user is to be warned now."""
    for row in rows:
        until, workspace = row.status.until, row.workspace
        if until is None:
            continue
        if row.status.phase is Phase.RUNNING:
            before, key, hint = WARNING_S, (workspace.id, until), "e postpones it."
        elif row.status.phase is Phase.STOPPED:
            # A deletion is announced at least that long before.
            before, key = warning(workspace.policy), (workspace.id, workspace.desired_changed_at)
            hint = "S starts it, so that it is kept."
        else:
            continue
        if until - now <= before:
            yield EndAhead(key, f"{workspace.name}: {row.status.reason}", hint)


def up_words(row: WorkspaceRow, now: float) -> str:
    """Return the attempt's number, and for how long it has run or since when it has ended."""
    attempt = row.attempt
    if attempt is None:
        return "no job yet"
    started = attempt.launched_at if attempt.launched_at is not None else attempt.intended_at
    if attempt.end is None:
        return f"attempt #{attempt.number}, for {age_words(now - started)}"
    return f"attempt #{attempt.number} ended {age_words(now - attempt.end.at)} ago"


def row_of(rows: Sequence[WorkspaceRow], workspace_id: str) -> WorkspaceRow | None:
    """Return the row of the workspace with this id."""
    return next((row for row in rows if row.workspace.id == workspace_id), None)


def time_words(at: float, now: float) -> str:
    """Return a local time, with the date if it is not today."""
    then, today = time.localtime(at), time.localtime(now)
    same_day = then[:3] == today[:3]
    return time.strftime("%H:%M:%S" if same_day else "%m-%d %H:%M", then)
