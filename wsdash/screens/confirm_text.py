"""Texts of confirmations and of the notifications after an action. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsdash.backend.store.reader import WorkspaceRow

ENDING = frozenset({"stop", "restart"})
"""Verbs that end a job gracefully: they ask where somebody works in it, or what it has cannot be saved."""

CONSEQUENCES = {
    "restart": ("Its job ends and a new one starts.", "Their jobs end and new ones start."),
    "stop": ("Its job ends.", "Their jobs end."),
    "start": ("A job is started for it.", "A job is started for each."),
    "extend": ("No autostop comes for an hour more.", "No autostop comes for an hour more."),
    "end_now": (
        "Its job ends at once; what it has not saved is lost.",
        "Their jobs end at once; what they have not saved is lost.",
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
    "extend": ("has no autostop for an hour more", "have no autostop for an hour more"),
    "end_now": ("is ended; S or r starts it again", "are ended; S or r starts them again"),
    "delete": ("is being deleted, with its files", "are being deleted, with their files"),
}


def consequence(verb: str, count: int) -> str:
    """The effect of the verb, for the confirmation."""
    text = CONSEQUENCES[verb][count != 1]
    return f"{text} Files are kept." if verb in KEPT else text


def done(verb: str, names: Sequence[str]) -> str:
    """The notification after the verb, with the key that undoes it where there is one."""
    return f"{', '.join(names)} {DONE[verb][len(names) != 1]}"


def warnings(
    verb: str, rows: Sequence[WorkspaceRow], shells: Mapping[str, int | None] = MappingProxyType({})
) -> list[str]:
    """Reasons to ask first, a sentence each: open shells, and a checkpoint that cannot be made.

    `shells` are the numbers of shells in them now, by id: where there is none, the last heartbeat's counts.
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
        found.append(
            f"{name}: what has come since it was last saved cannot be kept ({seen.checkpoint_error})."
        )
    return found
