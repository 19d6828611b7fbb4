"""Converts rows of the state store to the values of `wsdash.model`, and back."""

from __future__ import annotations

import json
import sqlite3
from functools import lru_cache

from wsdash.backend.clone_address import without_secrets
from wsdash.model import (
    Attempt,
    Beat,
    Cause,
    Desired,
    End,
    Event,
    JobObservation,
    JobState,
    Observation,
    Policy,
    StepResult,
    UnsavedRecord,
    UnsavedTotals,
    Workspace,
)

WORKSPACE_COLUMNS = (
    "id, name, context, source_url, ref, devfile_path, desired, generation, policy, created_at,"
    " desired_changed_at, deleted_at, autostop_not_before, unsaved"
)
"""All columns but the workload, which is large and which only a launch needs."""


class NoSuchWorkspace(LookupError):
    """There is no workspace of this name or id."""


_POLICY_FIELDS = frozenset(Policy.__match_args__)
_JOB_FIELDS = frozenset(JobObservation.__match_args__)
_RENAMED_JOB_FIELDS = {
    "line": "tunnel_status",
    "notice": "warning",
    "unsaved": "checkpoint_error",
    "saves_at_end": "saves_on_exit",
    "since": "state_since",
}
"""Fields of `JobObservation` by the names that earlier versions stored."""


@lru_cache(maxsize=4096)
def workspace_of(row: sqlite3.Row) -> Workspace:
    """Return the workspace of a row, cached: most rows are the same as when they were read last."""
    # In the order of `WORKSPACE_COLUMNS`: a row finds a value by its place several times as fast as by its name.
    (
        workspace_id, name, context, source_url, ref, devfile_path, desired, generation, policy, created_at,
        desired_changed_at, deleted_at, autostop_not_before, unsaved,
    ) = row  # fmt: skip
    return Workspace(
        id=workspace_id,
        name=name,
        context=context,
        # An earlier version wrote addresses as they were typed.
        source_url=source_url and without_secrets(source_url),
        ref=ref,
        devfile_path=devfile_path,
        desired=Desired(desired),
        generation=generation,
        policy=policy_of(policy),
        created_at=created_at,
        desired_changed_at=desired_changed_at,
        deleted_at=deleted_at,
        autostop_not_before=autostop_not_before,
        unsaved=None if unsaved is None else unsaved_of(unsaved),
    )


@lru_cache(maxsize=256)
def policy_of(text: str) -> Policy:
    """Parse a policy's JSON; unknown fields are left out."""
    known = {name: value for name, value in json.loads(text).items() if name in _POLICY_FIELDS}
    lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
    return Policy(**known | lists)


@lru_cache(maxsize=4096)
def attempt_of(row: sqlite3.Row) -> Attempt:
    """Return the attempt of a row, with its end and its last observation."""
    end = None
    if row["ended_at"] is not None:
        end = End(row["ended_at"], Cause(row["end_cause"]), row["end_exit_code"], row["end_message"])
    return Attempt(
        id=row["id"],
        workspace_id=row["workspace_id"],
        number=row["number"],
        generation=row["generation"],
        intended_at=row["intended_at"],
        launched_at=row["launched_at"],
        job_id=row["job_id"],
        url=row["url"],
        cancel_requested_at=row["cancel_requested_at"],
        cancel_reason=row["cancel_reason"],
        cancel_cause=Cause(row["cancel_cause"]) if row["cancel_cause"] else None,
        force_cancelled_at=row["force_cancelled_at"],
        end=end,
        last_observation=None
        if row["last_observation"] is None
        else job_observation_of(row["last_observation"]),
        last_error=row["last_error"],
    )


def event_of(row: sqlite3.Row) -> Event:
    """Return the event of a row."""
    return Event(
        id=row["id"],
        at=row["created_at"],
        workspace_id=row["workspace_id"],
        attempt=row["attempt"],
        actor=row["actor"],
        kind=row["kind"],
        text=row["text"],
        evidence=json.loads(row["evidence"]),
    )


@lru_cache(maxsize=4096)
def job_observation_of(text: str) -> JobObservation:
    """Parse an observation's JSON, including old names of fields; unknown fields are left out."""
    stored = {_RENAMED_JOB_FIELDS.get(name, name): value for name, value in json.loads(text).items()}
    values = {name: value for name, value in stored.items() if name in _JOB_FIELDS}
    values["state"] = JobState(values["state"])
    values["cause"] = Cause(values["cause"]) if values.get("cause") else None
    values["beat"] = Beat(**values["beat"]) if values.get("beat") else None
    values["left"] = UnsavedTotals(**values["left"]) if values.get("left") else None
    values["steps"] = tuple(StepResult(**step) for step in values.get("steps", ()))
    return JobObservation(**values)


def unsaved_of(text: str) -> UnsavedRecord:
    """Parse the JSON of an `UnsavedRecord`."""
    values = json.loads(text)
    return UnsavedRecord(values["at"], UnsavedTotals(**values["totals"]), values["announced_at"])


def json_of(value: Policy | JobObservation | UnsavedRecord) -> str:
    """Return the value as compact JSON."""
    return json.dumps(value, default=_fields, separators=(",", ":"))


def _fields(value: object) -> dict[str, object]:
    """Return a frozen value's fields; ten times as fast as `asdict`, which copies deeply."""
    return {name: getattr(value, name) for name in value.__slots__}  # type: ignore[attr-defined]


def observation_of(row: sqlite3.Row | None, attempts: list[Attempt]) -> Observation | None:
    """Return the stored observation of a context with the jobs of one workspace, as `decide` takes it."""
    if row is None:
        return None
    observation = Observation(
        row["observed_at"], bool(row["reachable"]), row["watching_since"], last_error=row["last_error"]
    )
    return observation.of(attempts)
