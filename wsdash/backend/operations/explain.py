"""Explains a workspace's phase: one sentence, and the evidence. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wsdash.backend.rules.status import words_for_seconds
from wsdash.backend.store.reader import WorkspaceDetail
from wsdash.model import Event

_FOR_PROGRAMS = frozenset({"message", "log_start", "log_end"})
"""Evidence that the text already contains, or that is a position in a log."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One sentence, and the events as evidence, newest first."""

    sentence: str
    evidence: tuple[str, ...]


def why(detail: WorkspaceDetail, now: float) -> Explanation:
    """Explain the phase: its reason, and the last action on the workspace."""
    workspace, status = detail.row.workspace, detail.row.status
    sentence = f"{workspace.name} is {status.phase}: {status.reason}"
    if status.until is not None and status.until > now:
        sentence += f"; this changes in {words_for_seconds(status.until - now)}"
    act = next((event for event in detail.events if event.actor != "job"), None)
    if act is not None:
        who = "you" if act.actor == "user" else "the reconciler"
        sentence += f". The last act was by {who}, {words_for_seconds(now - act.at)} ago: {act.text}"
    return Explanation(sentence + ".", tuple(_line(event) for event in detail.events[:10]))


def facts(evidence: Mapping[str, object]) -> dict[str, str]:
    """Return an action's evidence in words: times as local times, and without internal values."""
    return {
        name.removesuffix("_at"): _words(name, value)
        for name, value in evidence.items()
        if value not in (None, "", [], {}) and name not in _FOR_PROGRAMS
    }


def _words(name: str, value: object) -> str:
    if name.endswith("_at") and isinstance(value, int | float):
        return f"at {_local(value)}"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _local(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def _line(event: Event) -> str:
    attempt = f" #{event.attempt}" if event.attempt is not None else ""
    evidence = ", ".join(
        f"{name} {words}" for name, words in facts(event.evidence).items() if words not in event.text
    )
    return f"{_local(event.at)} {event.actor}{attempt} {event.kind}: {event.text}" + (
        f" [{evidence}]" if evidence else ""
    )
