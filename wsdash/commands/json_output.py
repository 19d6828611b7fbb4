"""The command line's JSON of workspaces, attempts and events. Keys are stable: scripts rely on them."""

from __future__ import annotations

import json
from functools import cache

from wsdash.backend.providers import on_disk
from wsdash.commands.console import instant
from wsdash.model import Attempt, Event, StepResult, UnsavedRecord, Workspace
from wsdash.paths import Paths

TYPE_CHECKING = False  # as in typing, which the quick verbs do without
if TYPE_CHECKING:
    from wsdash.backend.store.reader import WorkspaceDetail, WorkspaceRow


def row_json(row: WorkspaceRow, paths: Paths) -> dict[str, object]:
    """Return one workspace as in `list --json` (design section 10: these keys are stable)."""
    workspace, attempt = row.workspace, row.attempt
    seen = attempt.last_observation if attempt else None
    beat = seen.beat if seen else None
    return {
        "name": workspace.name,
        "id": workspace.id,
        "context": workspace.context,
        "project": workspace.project or None,
        "source": workspace.source_url,
        "ref": workspace.ref,
        "devfile": workspace.devfile_path,
        "desired": workspace.desired,
        "phase": row.status.phase,
        "reason": row.status.reason,
        "healthy": row.status.healthy,
        "trouble": row.status.condition or None,
        "until": instant(row.status.until),
        "attempt": attempt.number if attempt else None,
        "job": {"id": attempt.job_id, "url": attempt.url} if attempt and attempt.job_id else None,
        "created_at": instant(workspace.created_at),
        "started_at": instant(seen.started_at if seen else None),
        "last_beat_at": instant(beat.at if beat else None),
        "saved_at": instant(row.saved.at if row.saved else None),
        "folder": folder_of(workspace, paths),
    }


def detail_json(detail: WorkspaceDetail, paths: Paths) -> dict[str, object]:
    """Return one workspace as in `show --json`: the row, its attempts and events."""
    from dataclasses import asdict

    seen = detail.row.attempt.last_observation if detail.row.attempt else None
    return {
        **row_json(detail.row, paths),
        "unsaved": _unsaved_json(detail.row.workspace.unsaved),
        "isolation": seen.isolation if seen else None,
        "aside": list(detail.superseded),
        "steps": [_step_json(step) for step in seen.steps] if seen else [],
        "attempts": [_attempt_json(attempt) for attempt in detail.attempts],
        "events": [event_json(event) for event in detail.events],
        "policy": asdict(detail.row.workspace.policy),
        "workload": json.loads(detail.workload),
    }


def _unsaved_json(record: UnsavedRecord | None) -> dict[str, object] | None:
    if record is None:
        return None
    from dataclasses import asdict

    return {"at": instant(record.at), **asdict(record.totals)}


def _step_json(step: StepResult) -> dict[str, object]:
    return {
        "phase": step.phase,
        "command": step.command,
        "started_at": instant(step.started_at),
        "ended_at": instant(step.ended_at),
        "exit_code": step.exit_code,
    }


def _attempt_json(attempt: Attempt) -> dict[str, object]:
    end = attempt.end
    return {
        "number": attempt.number,
        "id": attempt.id,
        "job": {"id": attempt.job_id, "url": attempt.url} if attempt.job_id else None,
        "intended_at": instant(attempt.intended_at),
        "launched_at": instant(attempt.launched_at),
        "ended_at": instant(end.at if end else None),
        "cause": end.cause if end else None,
        "exit_code": end.exit_code if end else None,
        "message": end.message if end else None,
    }


def event_json(event: Event) -> dict[str, object]:
    """Return one event as in `events --json`."""
    return {
        "id": event.id,
        "at": instant(event.at),
        "attempt": event.attempt,
        "actor": event.actor,
        "kind": event.kind,
        "text": event.text,
        "evidence": event.evidence,
    }


def folder_of(workspace: Workspace, paths: Paths) -> str | None:
    """Return the path of the workspace's files on this machine; None unless its provider keeps them here."""
    return _folders(paths, workspace.context).get(workspace.id)


_folders = cache(on_disk.folders)
"""A list of workspaces scans each folder once."""
