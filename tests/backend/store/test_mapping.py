"""Values of `wsdash.model` from the JSON in the store's columns, as this version and earlier ones wrote it."""

from __future__ import annotations

import json

from wsdash.backend.store.mapping import job_observation_of, json_of
from wsdash.model import Beat, JobObservation, JobState, UnsavedTotals

OBSERVED = JobObservation(
    "a1",
    JobState.RUNNING,
    "7",
    beat=Beat(1_700_000_000.0),
    state_since=1_700_000_100.0,
    tunnel_status="up",
    warning="the cache stays as it was",
    saves_on_exit=False,
    saved_at=1_700_000_050.0,
    checkpoint_in="elsewhere",
    checkpoint_error="the disk is full",
    left=UnsavedTotals(files=2),
)


def test_an_observation_survives_the_way_into_the_store_and_back() -> None:
    assert job_observation_of(json_of(OBSERVED)) == OBSERVED


def test_an_observation_with_the_field_names_of_an_earlier_version_is_read_in_full() -> None:
    new = {
        "state_since": "since",
        "tunnel_status": "line",
        "warning": "notice",
        "saves_on_exit": "saves_at_end",
        "checkpoint_error": "unsaved",
    }
    old = json.dumps({new.get(name, name): value for name, value in json.loads(json_of(OBSERVED)).items()})
    assert '"line"' in old and "tunnel_status" not in old
    assert job_observation_of(old) == OBSERVED


def test_an_unknown_field_of_a_later_version_is_left_out() -> None:
    later = json.dumps({**json.loads(json_of(OBSERVED)), "colour": "red"})
    assert job_observation_of(later) == OBSERVED
