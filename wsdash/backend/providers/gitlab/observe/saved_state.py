"""Finds the state of a workspace that its last jobs saved, by their heartbeats. Pure.

`state=N.C` is the state that a job saved (gitlab_storage.sh), `from=N.C` the one that it started with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from wsdash.backend.providers.gitlab.ci import pipeline_name
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat

_NUMBER = re.compile(r"[0-9]{1,9}\.[0-9]{1,6}")
_MISSED = frozenset({("cache", "missed"), ("cache", "older"), ("volume", "missed"), ("volume", "older")})


def has_saved(beat: Heartbeat) -> bool:
    """Whether this job ended with everything saved, including files that were imported for it."""
    return beat.state in pipeline_name.SAVED and "started" in beat.facts and "import" not in beat.facts


def saved_last(beats: Iterable[Heartbeat]) -> str:
    """Return the state for the next job: the number of a state; "yes" if a job of an older version saved one, "no" for
    none. A state that a later job reported missing is not expected again.
    """
    for beat in sorted(beats, key=lambda beat: beat.number, reverse=True):
        stored, began = beat.facts.get("state", ""), beat.facts.get("from", "")
        if _NUMBER.fullmatch(stored):
            return stored
        if _MISSED & beat.facts.items():
            return began if _NUMBER.fullmatch(began) and began != "0.0" else "no"
        may_have_saved = beat.state in {pipeline_name.READY, pipeline_name.ENDING, *pipeline_name.FINAL}
        if not began and may_have_saved and "started" in beat.facts and "import" not in beat.facts:
            return "yes"
    return "no"
