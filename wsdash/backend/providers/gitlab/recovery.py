"""Recovers workspaces from GitLab: from the records on their branches and the names of their pipelines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wsdash.backend.providers.gitlab.api.models import Branch, Pipeline
from wsdash.backend.providers.gitlab.ci import pipeline_name
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat
from wsdash.backend.providers.gitlab.ci.record import Record, RecordError, record_of
from wsdash.backend.providers.gitlab.observe import observation
from wsdash.backend.providers.gitlab.observe.observation import Memory
from wsdash.backend.providers.gitlab.observe.poller import MOST_PAGES
from wsdash.backend.providers.gitlab.session import Session
from wsdash.backend.providers.types import FoundWorkspace, Inventory, Orphan
from wsdash.model import Attempt, Cause, Desired, End, Workspace

Found = tuple[Pipeline, Heartbeat]


async def read_inventory(session: Session, context: str) -> Inventory:
    """Return the project's workspaces, with a few requests for hundreds of them. Raises what the API does."""
    project = await session.project.info()
    branches = await session.api.branches(project.id, pipeline_name.BRANCH)
    pipelines: list[Pipeline] = []
    for page in range(1, MOST_PAGES + 1):
        listing = await session.api.pipelines(project.id, username=project.username, page=page)
        pipelines += listing.items
        if listing.is_whole:
            break
    return inventory_of(
        branches, pipelines, context, project.username, session.owner, listing.skew, session.clock()
    )


def inventory_of(
    branches: Iterable[Branch],
    pipelines: Iterable[Pipeline],
    context: str,
    user: str,
    owner: str,
    skew: float,
    now: float,
) -> Inventory:
    """Combine this user's workspaces. `pipelines` are the user's own; `owner` is this state store. Pure."""
    by_workspace: dict[str, list[Pipeline]] = {}
    for pipeline in pipelines:
        if pipeline.ref is not None and pipeline.ref.startswith(pipeline_name.BRANCH):
            by_workspace.setdefault(pipeline.ref.removeprefix(pipeline_name.BRANCH), []).append(pipeline)
    known, orphans, others = [], [], 0
    for branch in branches:
        workspace_id = branch.name.removeprefix(pipeline_name.BRANCH)
        own = by_workspace.pop(workspace_id, [])
        try:
            record = record_of(branch.commit.message)
            if record.id != workspace_id:
                raise RecordError("its record describes another workspace")
            if record.user == user and not own:
                # A record alone proves nothing: every user who may push could have written it, to have it run as this
                # user.
                raise RecordError("you have never run a pipeline of it")
        except RecordError as error:
            if own:
                orphans.append(_orphan(workspace_id, f"the branch {branch.name} exists, but {error}", own))
            else:
                others += 1
            continue
        if record.user != user:
            others += 1
        else:
            known.append(_known(record, own, context, owner, skew, now))
    for workspace_id, own in by_workspace.items():
        if any(observation.is_live(pipeline) for pipeline in own):
            orphans.append(_orphan(workspace_id, "its job runs, but its branch does not exist", own))
    return Inventory(tuple(known), tuple(orphans), others)


def _orphan(workspace_id: str, reason: str, own: list[Pipeline]) -> Orphan:
    return Orphan(workspace_id, reason, tuple(str(p.id) for p in own if observation.is_live(p)))


def _known(
    record: Record, own: list[Pipeline], context: str, owner: str, skew: float, now: float
) -> FoundWorkspace:
    beats = [
        (p, beat) for p in own if (beat := pipeline_name.parse(p.name)) and beat.workspace_id == record.id
    ]
    ones, _ = observation.chosen(beats)
    by_number: Mapping[int, Found] = {one[1].number: one for one in ones}
    attempts = tuple(_attempt(*by_number[number], skew, now) for number in sorted(by_number))
    desired = Desired.STOPPED
    if attempts:
        end = attempts[-1].end
        desired = Desired.STOPPED if end is not None and end.cause is Cause.CANCELLED else Desired.RUNNING
    workspace = Workspace(
        id=record.id,
        name=record.name,
        context=context,
        source_url=record.source_url,
        ref=record.ref,
        devfile_path=record.devfile_path,
        desired=desired,
        generation=max((a.generation for a in attempts), default=1),
        policy=record.policy,
        created_at=record.created_at,
        desired_changed_at=now,
    )
    return FoundWorkspace(workspace, record.workload, attempts, record.host, record.store == owner)


def _attempt(pipeline: Pipeline, beat: Heartbeat, skew: float, now: float) -> Attempt:
    job = observation.observed(pipeline, beat, Memory(), skew, now)
    at = job.created_at or now
    end = None
    if not observation.is_live(pipeline):
        end = End(job.ended_at or now, job.cause or Cause.RUNNER_LOST, job.exit_code, job.message)
    return Attempt(
        id=beat.attempt_id,
        workspace_id=beat.workspace_id,
        number=beat.number,
        generation=beat.generation,
        intended_at=at,
        launched_at=at,
        job_id=job.job_id,
        url=job.url,
        end=end,
        last_observation=job,
    )
