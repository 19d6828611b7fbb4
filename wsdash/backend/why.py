"""Why a workspace is where it is: one sentence, and the evidence behind it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from wsdash.backend.reader import WorkspaceDetail
from wsdash.backend.status import words_for_seconds
from wsdash.model import Event


@dataclass(frozen=True, slots=True)
class Why:
    """One sentence, and the facts that it rests on, newest first."""

    sentence: str
    evidence: tuple[str, ...]


def why(detail: WorkspaceDetail, now: float) -> Why:
    """Tell the phase, its reason, and what last led to it."""
    workspace, status = detail.row.workspace, detail.row.status
    sentence = f"{workspace.name} is {status.phase}: {status.reason}"
    if status.until is not None and status.until > now:
        sentence += f"; this changes in {words_for_seconds(status.until - now)}"
    act = next((event for event in detail.events if event.actor != "job"), None)
    if act is not None:
        who = "you" if act.actor == "user" else "the reconciler"
        sentence += f". The last act was by {who}, {words_for_seconds(now - act.at)} ago: {act.text}"
    return Why(sentence + ".", tuple(_line(event) for event in detail.events[:10]))


def _line(event: Event) -> str:
    at = datetime.fromtimestamp(event.at).strftime("%Y-%m-%d %H:%M:%S")
    attempt = f" #{event.attempt}" if event.attempt is not None else ""
    facts = ", ".join(
        f"{name} {value}"
        for name, value in event.evidence.items()
        if value is not None and name != "message" and str(value) not in event.text
    )
    return f"{at} {event.actor}{attempt} {event.kind}: {event.text}" + (f" [{facts}]" if facts else "")
