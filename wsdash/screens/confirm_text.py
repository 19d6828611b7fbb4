"""Texts of confirmations and of the notifications after an action. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsdash.backend.store.reader import WorkspaceRow

ENDING = frozenset({"stop", "restart"})
"""Verbs that end a job gracefully: they ask first if a shell is open or work cannot be saved."""

CONSEQUENCES = {
    "restart": ("Its job ends and a new one starts.", "Their jobs end and new ones start."),
    "stop": ("Its job ends.", "Their jobs end."),
    "start": ("A job is started for it.", "A job is started for each."),
    "extend": ("Its autostop is postponed by an hour.", "Their autostops are postponed by an hour."),
    "end_now": (
        "Its job ends at once; work that it has not saved is lost.",
        "Their jobs end at once; work that they have not saved is lost.",
    ),
    "delete": (
        "Its job ends, and all its files are removed for good.",
        "Their jobs end, and all their files are removed for good.",
    ),
}
KEPT = frozenset({"restart", "stop"})

DONE = {
    "start": ("starts; x stops it again", "start; x stops them again"),
    "stop": ("stops; S starts it again", "stop; S starts them again"),
    "restart": ("is restarted; l follows its log", "are restarted"),
    "extend": ("has no autostop for another hour", "have no autostop for another hour"),
    "end_now": ("is ended; S or r starts it again", "are ended; S or r starts them again"),
    "delete": ("is being deleted, with its files", "are being deleted, with their files"),
}


def consequence(verb: str, count: int) -> str:
    """Return the effect of the verb, for the confirmation."""
    text = CONSEQUENCES[verb][count != 1]
    return f"{text} Files are kept." if verb in KEPT else text


def done(verb: str, names: Sequence[str]) -> str:
    """Return the notification after the verb, with the key that undoes it if there is one."""
    return f"{', '.join(names)} {DONE[verb][len(names) != 1]}"


def warnings(
    verb: str, rows: Sequence[WorkspaceRow], shells: Mapping[str, int | None] = MappingProxyType({})
) -> list[str]:
    """Return reasons to ask first, one sentence each: open shells, and a checkpoint that cannot be made.

    `shells` has the numbers of shells that are open now, by id; for None the count of the last heartbeat is used.
    """
    if verb not in ENDING:
        return []
    return [text for row in rows for text in _warnings(row, shells.get(row.workspace.id))]


def _warnings(row: WorkspaceRow, shells: int | None) -> list[str]:
    attempt = row.attempt
    if attempt is None or not attempt.is_live or attempt.last_observation is None:
        return []
    name, seen = row.workspace.name, attempt.last_observation
    found = []
    if shells is None and seen.beat is not None:
        shells = seen.beat.shells
    if shells:
        found.append(f"{name}: {'a shell is' if shells == 1 else f'{shells} shells are'} open in it.")
    if seen.checkpoint_error:
        found.append(f"{name}: work since its last checkpoint cannot be saved ({seen.checkpoint_error}).")
    return found
