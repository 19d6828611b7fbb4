"""The signs of phases and marks. The words beside them say the same, so that neither sign nor colour is needed."""

from __future__ import annotations

from dataclasses import dataclass

from wsdash.model import Phase
from wsdash.screens.text.spans import Tone


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One set of signs, each one cell wide (`ellipsis` may be longer)."""

    phases: dict[Phase, str]
    cursor: str
    mark: str
    good: str
    bad: str
    running: str
    dot: str
    ellipsis: str
    rule: str
    arrow: str
    bullet: str


UNICODE = Glyphs(
    phases={
        Phase.PENDING: "○",
        Phase.STARTING: "◐",
        Phase.RUNNING: "●",
        Phase.UNHEALTHY: "▲",
        Phase.BACKING_OFF: "↻",
        Phase.FAILED: "✗",
        Phase.STOPPING: "◑",
        Phase.STOPPED: "■",
        Phase.DELETING: "◌",
        Phase.DELETED: "◌",
        Phase.UNKNOWN: "?",
    },
    cursor="▌",
    mark="✓",
    good="✓",
    bad="✗",
    running="◐",
    dot="·",
    ellipsis="…",
    rule="─",
    arrow="→",
    bullet="•",
)

ASCII = Glyphs(
    phases={
        Phase.PENDING: ".",
        Phase.STARTING: "~",
        Phase.RUNNING: "*",
        Phase.UNHEALTHY: "!",
        Phase.BACKING_OFF: "^",
        Phase.FAILED: "x",
        Phase.STOPPING: "v",
        Phase.STOPPED: "-",
        Phase.DELETING: "v",
        Phase.DELETED: "-",
        Phase.UNKNOWN: "?",
    },
    cursor=">",
    mark="+",
    good="+",
    bad="x",
    running="~",
    dot="-",
    ellipsis="...",
    rule="-",
    arrow="->",
    bullet="*",
)

TONES: dict[Phase, Tone] = {
    Phase.PENDING: Tone.BUSY,
    Phase.STARTING: Tone.BUSY,
    Phase.RUNNING: Tone.GOOD,
    Phase.UNHEALTHY: Tone.WARN,
    Phase.BACKING_OFF: Tone.WARN,
    Phase.FAILED: Tone.BAD,
    Phase.STOPPING: Tone.BUSY,
    Phase.STOPPED: Tone.MUTED,
    Phase.DELETING: Tone.BUSY,
    Phase.DELETED: Tone.MUTED,
    Phase.UNKNOWN: Tone.WARN,
}
