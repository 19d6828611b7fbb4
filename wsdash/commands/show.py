"""The verbs that only read: show, events and why for one workspace, plan for all."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress

from wsdash.backend.errors import UserError
from wsdash.backend.job.log_text import MOST_LINES
from wsdash.backend.operations.unsaved_words import record_words
from wsdash.backend.rules.autodelete import is_worth_asking
from wsdash.backend.rules.decide import (
    Adopt,
    Cancel,
    Decision,
    Destroy,
    ForceCancel,
    GiveUp,
    Launch,
    LookForUnsaved,
    Wait,
)
from wsdash.backend.rules.recovery_point import sentence
from wsdash.backend.rules.status import words_for_seconds
from wsdash.backend.store.mapping import NoSuchWorkspace
from wsdash.backend.store.reader import WorkspaceDetail, WorkspaceRow
from wsdash.commands.console import (
    DONE,
    fit,
    instant,
    local_time,
    phase_sign,
    print_json,
    print_table,
    screen_width,
)
from wsdash.commands.json_output import detail_json, event_json, folder_of
from wsdash.commands.open_reader import reading
from wsdash.model import Attempt, Event, JobObservation, StepResult
from wsdash.paths import Paths
from wsdash.sanitize import one_line

STEPS: dict[type[Decision], str] = {
    Wait: "wait",
    Launch: "launch",
    Adopt: "adopt",
    Cancel: "cancel",
    ForceCancel: "force-cancel",
    LookForUnsaved: "look-for-unsaved-work",
    Destroy: "destroy",
    GiveUp: "give-up",
}


def show(args: Namespace, paths: Paths) -> int:
    """Print one workspace with its steps, attempts and events."""
    now = time.time()
    with reading(paths) as reader:
        detail = reader.detail(reader.find(args.name).id, now, events=20)
    if _looked_again(detail, paths, now):
        now = time.time()
        with reading(paths) as reader:
            detail = reader.detail(detail.row.workspace.id, now, events=20)
    if args.json:
        print_json(detail_json(detail, paths))
    else:
        _print_detail(detail, paths, now)
    return DONE


def _looked_again(detail: WorkspaceDetail, paths: Paths, now: float) -> bool:
    """Refresh the record of unsaved work if that is quick. Returns True if it was tried."""
    workspace = detail.row.workspace
    has_folder = folder_of(workspace, paths) is not None
    if not is_worth_asking(workspace, detail.row.attempt, now, has_folder=has_folder):
        return False
    from wsdash.backend.store.errors import DatabaseError
    from wsdash.commands.run_service import with_service

    with suppress(UserError, DatabaseError, NoSuchWorkspace):
        with_service(paths, lambda service: service.work.look_again(workspace.id))
    return True


def events(args: Namespace, paths: Paths) -> int:
    """Print the events of a workspace, oldest first; as JSON newest first."""
    with reading(paths) as reader:
        found = reader.events(reader.find(args.name, deleted=True).id, limit=1000)
    if args.json:
        print_json([event_json(event) for event in found])
    else:
        for event in reversed(found):
            print(_event_line(event))
    return DONE


def why(args: Namespace, paths: Paths) -> int:
    """Print why the workspace is in its phase, and the evidence for it."""
    from wsdash.backend.operations.explain import why as explain_why

    now = time.time()
    with reading(paths) as reader:
        detail = reader.detail(reader.find(args.name).id, now)
    answer = explain_why(detail, now)
    if args.json:
        name, phase = detail.row.workspace.name, detail.row.status.phase
        print_json({"name": name, "phase": phase, "sentence": answer.sentence, "evidence": answer.evidence})
    else:
        print(one_line(answer.sentence))
        for line in answer.evidence:
            print(f"  {one_line(line)}")
    return DONE


def plan(args: Namespace, paths: Paths) -> int:
    """Print the reconciler's next step for each workspace."""
    now = time.time()
    with reading(paths) as reader:
        steps = reader.plan(now)
    if args.json:
        print_json(
            [
                {
                    "name": step.workspace.name,
                    "step": STEPS[type(step.decision)],
                    "reason": step.decision.reason,
                    "at": instant(_at(step.decision, now)),
                }
                for step in steps
            ]
        )
    elif not steps:
        print("Nothing to do: there are no workspaces.")
    else:
        print_table(
            ("NAME", "STEP", "WHEN", "REASON"),
            [
                (
                    fit(step.workspace.name, 20),
                    STEPS[type(step.decision)],
                    _when(_at(step.decision, now), now),
                    step.decision.reason,
                )
                for step in steps
            ],
        )
    return DONE


def _print_detail(detail: WorkspaceDetail, paths: Paths, now: float) -> None:
    row, workspace = detail.row, detail.row.workspace
    phase = phase_sign(row.status.phase, sys.stdout, row.status.condition)
    print(f"{workspace.name}  {phase}  {one_line(row.status.reason)}\n")
    seen = row.attempt.last_observation if row.attempt else None
    for name, value in _facts(row, seen, paths, now):
        print(f"  {name:<10} {one_line(value)}")
    if detail.superseded:
        print(
            "\nCheckpoints that no later job contains; each is a bundle for `git fetch FILE 'refs/*:refs/kept/*'`"
        )
        for file in detail.superseded:
            print(f"  {file}")
    if seen and seen.steps:
        print("\nSteps")
        for step in seen.steps:
            print(f"  {fit(step.title, 40):<42} {_step_words(step, now)}")
    if detail.attempts:
        print("\nAttempts, newest first")
        for attempt in detail.attempts[:10]:
            print(f"  {fit(_attempt_words(attempt, now), screen_width() - 2)}")
    print("\nEvents, newest first")
    for event in detail.events:
        print(f"  {fit(_event_line(event), screen_width() - 2)}")


def _facts(
    row: WorkspaceRow, seen: JobObservation | None, paths: Paths, now: float
) -> Iterator[tuple[str, str]]:
    workspace = row.workspace
    yield "desired", workspace.desired.value
    yield "context", workspace.context
    yield "source", f"{workspace.source_url or 'none'} at {workspace.ref or 'its default branch'}"
    yield "devfile", workspace.devfile_path or "none, the default devfile is used"
    yield "folder", folder_of(workspace, paths) or "not on this machine"
    yield "created", _ago(workspace.created_at, now)
    yield "runs in", (seen.isolation if seen else None) or "no job now"
    yield "work", sentence(row.saved, now)
    yield "unsaved", record_words(workspace.unsaved, now) if workspace.unsaved else "not looked for yet"
    yield "heartbeat", _ago(seen.beat.at, now) if seen and seen.beat else "none yet"
    if seen and seen.tunnel_status:
        yield "tunnel", seen.tunnel_status
    if seen and seen.warning:
        yield "warning", seen.warning


def _step_words(step: StepResult, now: float) -> str:
    if step.ended_at is None:
        return f"running for {words_for_seconds(now - step.started_at)}"
    took = words_for_seconds(step.ended_at - step.started_at)
    return f"failed with exit {step.exit_code} after {took}" if step.failed else f"done in {took}"


def _attempt_words(attempt: Attempt, now: float) -> str:
    start = f"#{attempt.number} created {_ago(attempt.intended_at, now)}"
    if attempt.end is None:
        return f"{start}, not ended"
    return f"{start}, ended {_ago(attempt.end.at, now)}: {attempt.end.tail(MOST_LINES)}"


def _event_line(event: Event) -> str:
    attempt = f" #{event.attempt}" if event.attempt is not None else ""
    return one_line(f"{local_time(event.at)} {event.actor}{attempt} {event.kind}: {event.text}")


def _at(decision: Decision, now: float) -> float:
    return decision.until if isinstance(decision, Wait) else now


def _when(at: float, now: float) -> str:
    if at == float("inf"):
        return "on change"
    return "now" if at <= now else f"in {words_for_seconds(at - now)}"


def _ago(at: float, now: float) -> str:
    return f"{words_for_seconds(now - at)} ago"
