"""Parses what `session.sh list` prints of a workspace's sessions, which is not trusted. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from wsdash.sanitize import one_line

MOST_SESSIONS = 200
_NAME = re.compile(r"(?![.-])[A-Za-z0-9._-]{1,64}", re.ASCII)
_MARK = "wsdash-session|"
_LONGEST = 300


class State(StrEnum):
    """The state of a session.

    `lost`: its job has ended, and it can be started again. `unknown`: the job tells a state that this version does not
    know, or cannot be asked; nothing is ever done because of it.
    """

    STARTING = "starting"
    WORKING = "working"
    WAITING = "waiting"
    IDLE = "idle"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"
    UNKNOWN = "unknown"


ENDED = frozenset({State.DONE, State.FAILED, State.STOPPED, State.LOST})
_STATES = {state.value: state for state in State}
_ORDER = (
    *(State.WAITING, State.FAILED, State.LOST, State.UNKNOWN, State.STARTING, State.WORKING, State.IDLE),
    *(State.DONE, State.STOPPED),
)


@dataclass(frozen=True, slots=True)
class Session:
    """A program of the workspace. `seconds`: how long it has been in this state, of the job's uptime.

    `rule` and `evidence` say which fact decided the state. `profile` is "" without one.
    """

    name: str
    state: State
    seconds: int
    rule: str
    evidence: str
    profile: str
    line: str


def is_name(text: str) -> bool:
    """Whether a session can have this name: letters, digits, dots and dashes, and none that the program itself uses."""
    return bool(_NAME.fullmatch(text)) and text != "hub"


def sessions(output: str) -> tuple[Session, ...]:
    """Return the sessions, those that wait for somebody first; of two lines for one name the last counts."""
    found: dict[str, Session] = {}
    for line in output.splitlines():
        cells = line.removeprefix(_MARK).split("|", 6)
        if not line.startswith(_MARK) or len(cells) != 7 or not is_name(cells[0]):
            continue
        name, state, seconds, rule, evidence, profile, command = cells
        found[name] = Session(
            name,
            _STATES.get(state, State.UNKNOWN),
            int(seconds) if seconds.isdecimal() and len(seconds) < 12 else 0,
            one_line(rule)[:40],
            one_line(evidence)[:_LONGEST],
            one_line(profile)[:64],
            one_line(command)[:_LONGEST],
        )
        if len(found) > MOST_SESSIONS:
            break
    return tuple(sorted(found.values(), key=lambda session: (_ORDER.index(session.state), session.name)))
