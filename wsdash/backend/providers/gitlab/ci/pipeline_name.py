"""The name of a workspace's pipeline, which is its heartbeat: one list request shows it for all. Pure.

    wsdash/<workspace id> <attempt id>.<number>.<generation> <epoch s> <state> <seq> [name=value ...]

`workflow: name:` sets the first name, and the job renames its pipeline with its job token ("Pipelines API",
update pipeline metadata), at most 255 characters. Every user who may push can write it: untrusted text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from wsdash.backend.job.protocol import FACTS_BEFORE, FINAL_STATES, RUNNING_STATES
from wsdash.model import Cause

BRANCH = "wsdash/"
LONGEST = 255
QUEUED, FETCHING, STARTING, READY, ENDING = RUNNING_STATES
FINAL = {state: Cause(state) for state in FINAL_STATES}
"""The causes of end by the last state of a job that ended by itself."""
SAVED = frozenset({Cause.DEADLINE.value, Cause.CANCELLED.value, Cause.USER_CODE.value})
"""Last states of a job whose cache has its saved state."""
STATES = frozenset({*RUNNING_STATES, *FINAL_STATES})

_ID = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_KEY = re.compile(rf"({_ID})\.([0-9]{{1,9}})\.([0-9]{{1,9}})")
_NAME = re.compile(
    rf"{BRANCH}({_ID}) ({_KEY.pattern}) ([0-9]{{1,12}}) ([a-z-]{{1,20}}) ([0-9]{{1,12}})(?: (.*))?", re.ASCII
)
_FACT = re.compile(r"([a-z_]{1,20})=([A-Za-z0-9_.:-]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The contents of a pipeline's name. `at` is on the job's clock in seconds since the epoch, 0 before it ran."""

    workspace_id: str
    attempt_id: str
    number: int
    generation: int
    at: int = 0
    state: str = QUEUED
    seq: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)


def attempt_key(attempt_id: str, number: int, generation: int) -> str:
    """Return the idempotency key of an attempt, as stored in GitLab."""
    return f"{attempt_id}.{number}.{generation}"


def name_of(beat: Heartbeat) -> str:
    """Return the name of a pipeline. Facts that would make it too long are left out."""
    key = attempt_key(beat.attempt_id, beat.number, beat.generation)
    name = f"{BRANCH}{beat.workspace_id} {key} {beat.at} {beat.state} {beat.seq}"
    for fact, value in beat.facts.items():
        longer = f"{name} {fact}={value}"
        if len(longer) <= LONGEST:
            name = longer
    return name


@lru_cache(8192)
def parse(name: str | None) -> Heartbeat | None:
    """Parse a pipeline's name; None for a name of another kind."""
    found = _NAME.fullmatch(name or "")
    if found is None or found[7] not in STATES:
        return None
    facts = {}
    for word in (found[9] or "").split(" "):
        fact = _FACT.fullmatch(word)
        if fact is not None:
            facts[FACTS_BEFORE.get(fact[1], fact[1])] = fact[2]
    return Heartbeat(
        workspace_id=found[1],
        attempt_id=found[3],
        number=int(found[4]),
        generation=int(found[5]),
        at=int(found[6]),
        state=found[7],
        seq=int(found[8]),
        facts=facts,
    )


def branch_of(workspace_id: str) -> str:
    """Return the branch that has a workspace's configuration."""
    return f"{BRANCH}{workspace_id}"
