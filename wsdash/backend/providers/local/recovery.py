"""Recovers workspaces without the state store, from records in the folders of their jobs. Blocking.

A launch writes `workspace.json` into the job's folder. The folder is private, but jobs of the kind `plain` are the
user's own processes too: every value is checked, and none is trusted as a path. Jobs of earlier versions only have
`spec.json` and the rendered workload, from which a part is recovered.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from wsdash.backend.providers.local.layout import JobFiles, Layout, checked_id
from wsdash.backend.providers.types import FoundWorkspace, Inventory, Orphan
from wsdash.backend.system.files import json_files
from wsdash.config.settings import LOCAL, policy
from wsdash.model import Attempt, Cause, Desired, End, JobObservation, JobState, Policy, Workspace
from wsdash.workload import Source, Workload

FORMAT = 1
_MOST = 2**31
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Record:
    """The description of a workspace in a job's folder, as it was at the launch."""

    name: str
    source_url: str | None
    ref: str | None
    devfile_path: str | None
    policy: Policy
    created_at: float
    workload: Workload


def record_of(workspace: Workspace, workload: Workload) -> dict[str, object]:
    """Return the content of `workspace.json`."""
    record = Record(
        workspace.name,
        workspace.source_url,
        workspace.ref,
        workspace.devfile_path,
        workspace.policy,
        workspace.created_at,
        workload,
    )
    return {"format": FORMAT, **asdict(record)}


def workspace_ids(layout: Layout) -> frozenset[str]:
    """Return workspaces with a folder here, except those being imported. Raises OSError."""
    on_their_way = {entry.name for entry in layout.drafts.iterdir()} if layout.drafts.is_dir() else set()
    if not layout.workspaces.is_dir():
        return frozenset()
    return frozenset(
        entry.name
        for entry in layout.workspaces.iterdir()
        if entry.name not in on_their_way and _is_id(entry.name)
    )


def inventory(
    layout: Layout, jobs: Mapping[str, JobObservation], context: str, host: str, now: float
) -> Inventory:
    """Return all workspaces with a folder or a job here. `jobs` are by attempt id. Raises OSError."""
    folders: dict[str, list[JobFiles]] = {workspace_id: [] for workspace_id in workspace_ids(layout)}
    for entry in sorted(layout.jobs.iterdir()) if layout.jobs.is_dir() else ():
        files = JobFiles(entry)
        owner = (json_files.read(files.spec) or {}).get("workspace")
        if not entry.name.startswith(".") and _is_id(entry.name) and isinstance(owner, str) and _is_id(owner):
            folders.setdefault(owner, []).append(files)
    known: list[FoundWorkspace] = []
    orphans: list[Orphan] = []
    for workspace_id, own in sorted(folders.items()):
        seen = {files: jobs[files.folder.name] for files in own if files.folder.name in jobs}
        live = tuple(job.job_id for job in seen.values() if job.state is not JobState.ENDED)
        newest_first = sorted(own, key=_number_of, reverse=True)
        found = next((record for files in newest_first if (record := _read(files)) is not None), None)
        if found is None:
            reason = "no folder of its jobs describes it" if own else "it was never launched here"
            orphans.append(Orphan(workspace_id, f"its folder exists, but {reason}", live))
        else:
            known.append(_known(workspace_id, found, seen, context, host, now))
    return Inventory(tuple(known), tuple(orphans))


def _known(
    workspace_id: str,
    record: Record,
    seen: Mapping[JobFiles, JobObservation],
    context: str,
    host: str,
    now: float,
) -> FoundWorkspace:
    attempts: dict[int, Attempt] = {}
    wants_end: dict[int, bool] = {}
    # Of two jobs with the same number, the live one counts.
    for files, job in sorted(seen.items(), key=lambda item: item[1].state is not JobState.ENDED):
        if 0 < job.number < _MOST and job.generation < _MOST:
            attempts[job.number] = _attempt(workspace_id, job, now)
            wants_end[job.number] = files.cancel.exists()
    desired = Desired.RUNNING
    if attempts:
        last = max(attempts)
        end = attempts[last].end
        was_cancelled = end is not None and end.cause is Cause.CANCELLED
        if was_cancelled or wants_end[last]:
            desired = Desired.STOPPED
    workspace = Workspace(
        id=workspace_id,
        name=record.name,
        context=context,
        source_url=record.source_url,
        ref=record.ref,
        devfile_path=record.devfile_path,
        desired=desired,
        generation=max((attempt.generation for attempt in attempts.values()), default=1),
        policy=record.policy,
        created_at=record.created_at,
        desired_changed_at=now,
    )
    ordered = tuple(attempts[number] for number in sorted(attempts))
    return FoundWorkspace(workspace, record.workload, ordered, host, is_own=True)


def _attempt(workspace_id: str, job: JobObservation, now: float) -> Attempt:
    at = job.created_at or now
    end = None
    if job.state is JobState.ENDED:
        end = End(job.ended_at or now, job.cause or Cause.RUNNER_LOST, job.exit_code, job.message)
    return Attempt(
        id=job.attempt_id,
        workspace_id=workspace_id,
        number=job.number,
        generation=max(1, job.generation),
        intended_at=at,
        launched_at=at,
        job_id=job.job_id,
        end=end,
        last_observation=job,
    )


def _read(files: JobFiles) -> Record | None:
    """Return the description in a job's folder; None if it does not describe a workspace."""
    from pydantic import TypeAdapter, ValidationError

    values = json_files.read(files.workspace)
    if values is None:
        return _read_of_earlier(files)
    if values.pop("format", None) != FORMAT:
        return None
    try:
        record = TypeAdapter(Record).validate_python(values)
    except (ValidationError, RecursionError):
        return None
    return record if _NAME.fullmatch(record.name) and math.isfinite(record.created_at) else None


def _read_of_earlier(files: JobFiles) -> Record | None:
    """Return the name, source and image of a job that was launched without a record. Its steps are unknown."""
    spec = json_files.read(files.spec) or {}
    env = spec.get("env")
    name = env.get("WSDASH_WORKSPACE") if isinstance(env, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return None
    assignments = _assignments(files)
    url, ref = assignments.get("source_url") or None, assignments.get("source_ref") or None
    source = Source(url, ref, assignments.get("project_folder") or "project") if url else None
    image, created_at = spec.get("image"), spec.get("created_at")
    return Record(
        name,
        url,
        ref,
        None,
        policy(LOCAL.provider, {}),
        float(created_at) if isinstance(created_at, int | float) else 0.0,
        Workload(image=image if isinstance(image, str) else None, source=source),
    )


def _assignments(files: JobFiles) -> dict[str, str]:
    """Return the assignments at the head of the rendered workload, which is quoted for POSIX sh."""
    try:
        text = (files.scripts / "workload.sh").read_text()
        words = shlex.split(text.partition("() {")[0], comments=True)
    except (OSError, ValueError):
        return {}
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _number_of(files: JobFiles) -> int:
    number = (json_files.read(files.spec) or {}).get("number")
    return number if isinstance(number, int) else 0


def _is_id(name: str) -> bool:
    try:
        return bool(checked_id(name))
    except ValueError:
        return False
