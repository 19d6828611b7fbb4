"""Polls all pipelines of a context, with one request for a hundred, and one more for each that changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.models import Job, Pipeline
from wsdash.backend.providers.gitlab.api.project import CurrentProject, ProjectInfo
from wsdash.backend.providers.gitlab.api.shared_listing import SharedListing
from wsdash.backend.providers.gitlab.ci import pipeline_name
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat
from wsdash.backend.providers.gitlab.messages import NONE_ONLINE
from wsdash.backend.providers.gitlab.observe import job_log, observation, runner_fit
from wsdash.backend.providers.gitlab.observe.observation import Detail, Memory
from wsdash.backend.providers.gitlab.tunnel.heartbeats import TunnelHeartbeats
from wsdash.backend.providers.types import ProviderSnapshot
from wsdash.model import JobObservation

log = logging.getLogger(__name__)

FULL_S = 300.0
"""Seconds between two polls of all pipelines; others list only the newest hundred and the live ones."""
MOST_PAGES = 20
STUCK_S = 30.0
"""Seconds that a job may be pending before wsdash asks GitLab whether a runner can take it."""
LOG_S = 20.0
"""Seconds between two reads of a log, if it is the only source."""
MOST_LOG = 5 * 1024 * 1024
MOST_DETAILS = 10
"""Most pipelines that one poll requests details of; the next polls do the others."""
CALM_S = 60.0
"""After this many seconds without a change, another context's answer may be used until it is four polls old."""
STEP_S = 5.0
"""This machine's clock was set if it differs by so many seconds more than before from the boot-time clock."""
GIVE_UP_S = 600.0
"""After this many seconds, a log without the job's start is not read any more."""

Found = tuple[Pipeline, Heartbeat]


class PipelinePoller:
    """Caches results, so that a poll without changes takes one request, and with `shared` less than one."""

    def __init__(
        self,
        api: GitLabApi,
        project: CurrentProject,
        clock: Callable[[], float],
        log_s: float = LOG_S,
        shared: SharedListing | None = None,
        poll_s: float = 3.0,
        heartbeats: TunnelHeartbeats | None = None,
        boot_clock: Callable[[], float] | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        self._shared = shared
        self._heartbeats = heartbeats
        self._poll_s = poll_s
        self._changed_at = float("-inf")
        self._api = api
        self._project = project
        self._log_s = log_s
        self._clock = clock
        self._memory = Memory()
        self._live: set[int] = set()
        self._looked_at: float | None = None
        self._boot_clock = boot_clock
        self._clock_offset: float | None = None
        self._full_at = float("-inf")
        self._stuck_at = float("-inf")
        self._runners_at = float("-inf")
        self._tags = tags
        self._log_at: dict[int, float] = {}
        self._jobs: dict[int, Job] = {}
        self._before: dict[int, tuple[tuple[object, ...], JobObservation]] = {}
        self._statuses: dict[int, str] = {}
        self.pipelines: dict[str, Pipeline] = {}
        """The chosen pipeline of each attempt."""
        self.beats: dict[str, Heartbeat] = {}
        """The last heartbeat of each attempt."""

    def expect_change(self) -> None:
        """Expect a change after a request: for a while, only fresh answers are used."""
        self._changed_at = self._clock()

    async def poll(self) -> ProviderSnapshot:
        """Poll once. Raises what the API raises if it does not answer."""
        project = await self._project.info()
        if self._was_set():
            self._start_anew()
        is_full = self._clock() - self._full_at >= FULL_S
        pipelines, skew, now = await self._listed(project, is_full=is_full)
        found = [(p, beat) for p in pipelines if (beat := self._beat_of(p)) is not None]
        ones, doubles = observation.chosen(found)
        for pipeline_id in doubles:
            await self._quietly(self._api.cancel_pipeline(project.id, pipeline_id))
        await self._fetch_details(project.id, ones, skew, now)
        self._read_clocks(found, skew, now)
        await self._ask_for_stuck(project, ones, now)
        self._remember(ones)
        jobs = tuple(self._observed(p, beat, skew, now) for p, beat in ones)
        if is_full:
            self._forget({p.id for p in pipelines})
        return ProviderSnapshot(now, jobs)

    def _read_clocks(self, found: Sequence[Found], skew: float, now: float) -> None:
        clocks = self._memory.clocks
        for pipeline, beat in found:
            clocks[pipeline.id] = observation.clock_of(
                pipeline, beat, self._memory, skew, now, self._looked_at
            )
        self._looked_at = now

    def _was_set(self) -> bool:
        """Whether this machine's clock was set since the last poll, so that no time from before counts."""
        if self._boot_clock is None:
            return False
        before, self._clock_offset = self._clock_offset, self._clock() - self._boot_clock()
        return before is not None and abs(self._clock_offset - before) > STEP_S

    def _start_anew(self) -> None:
        """Forget each time of before, on which no span can be based any more."""
        self._memory.clocks.clear()
        self._memory.details.clear()
        self._log_at.clear()
        self._looked_at = None
        self._changed_at = self._full_at = self._stuck_at = self._runners_at = float("-inf")

    async def _fetch_details(self, project_id: int, ones: Sequence[Found], skew: float, now: float) -> None:
        """Request details of a limited number; the next poll continues with the rest."""
        newest = {beat.workspace_id: beat.number for _, beat in sorted(ones, key=lambda one: one[1].number)}
        wanting = [one for one in ones if self._needs_detail(one, newest, now)]
        changed = wanting[:MOST_DETAILS]
        await asyncio.gather(*(self._fetch_detail(project_id, one, skew, now) for one in changed))
        if changed:
            self.expect_change()
        postponed = {one[0].id for one in wanting if self._needs_detail(one, newest, now)}
        self._statuses.update({p.id: p.status for p, _ in ones if p.id not in postponed})

    def _remember(self, ones: Sequence[Found]) -> None:
        live = [(p, beat) for p, beat in ones if observation.is_live(p)]
        self._live = {p.id for p, _ in live}
        self.pipelines = {beat.attempt_id: p for p, beat in ones}
        self.beats = {beat.attempt_id: beat for _, beat in ones}
        if self._heartbeats is not None:
            self._heartbeats.forget_all_but({beat.attempt_id for _, beat in live})

    def _observed(self, pipeline: Pipeline, beat: Heartbeat, skew: float, now: float) -> JobObservation:
        """Return the previous observation if nothing it is based on has changed."""
        memory = self._memory
        status = self._heartbeats.status(beat) if self._heartbeats is not None else None
        rests_on = (
            pipeline.status,
            beat,
            status,
            pipeline.updated_at,
            skew,
            memory.clocks.get(pipeline.id),
            memory.details.get(pipeline.id),
            pipeline.id in memory.stuck and memory.why_stuck,
        )
        before = self._before.get(pipeline.id)
        if before is not None and before[0] == rests_on:
            return before[1]
        found = observation.observed(pipeline, beat, memory, skew, now, status)
        if found.beat is None or found.beat.at < now:  # a heartbeat in the future is set to now
            self._before[pipeline.id] = (rests_on, found)
        return found

    async def _listed(self, project: ProjectInfo, *, is_full: bool) -> tuple[list[Pipeline], float, float]:
        """List the newest pipelines, and further pages until all that were live at the last poll are found."""
        missing = set(self._live)
        if project.lists_all_projects and self._shared is not None and not is_full:
            calm = self._clock() - self._changed_at > CALM_S
            listing = await self._shared.of(self._api, project.id, self._poll_s * (4 if calm else 0.5))
            if listing is not None and missing <= {pipeline.id for pipeline in listing.items}:
                return _of_workspaces(listing.items), listing.skew, listing.at
        pipelines: dict[int, Pipeline] = {}
        at = skew = 0.0
        for page in range(1, MOST_PAGES + 1):
            listing = await self._api.pipelines(
                project.id, username=project.username, page=page, urgent=False
            )
            at, skew = listing.at, listing.skew
            pipelines.update({pipeline.id: pipeline for pipeline in listing.items})
            missing -= pipelines.keys()
            if listing.is_whole or not (missing or is_full):
                break
        if is_full:
            self._full_at = self._clock()
        return _of_workspaces(pipelines.values()), skew, at

    def _beat_of(self, pipeline: Pipeline) -> Heartbeat | None:
        """Parse its name, if it runs on that workspace's branch: a name alone is easily forged."""
        beat = pipeline_name.parse(pipeline.name)
        if beat is None or pipeline.ref != pipeline_name.branch_of(beat.workspace_id):
            return None
        return self._heartbeats.newest(beat) if self._heartbeats is not None else beat

    def _needs_detail(self, one: Found, newest: dict[str, int], now: float) -> bool:
        """Whether a change needs another request to be explained."""
        pipeline, beat = one
        before = self._statuses.get(pipeline.id)
        if not observation.is_live(pipeline):
            if before is not None and before == pipeline.status:
                return False
            explains = pipeline.status == "failed" or beat.state in (
                *pipeline_name.FINAL,
                pipeline_name.READY,
            )
            return explains and (before is not None or newest[beat.workspace_id] == beat.number)
        if pipeline.status != "running":
            return False
        detail = self._memory.details.get(pipeline.id, Detail())
        is_due = now - self._log_at.get(pipeline.id, float("-inf")) >= self._log_s
        if beat.state != pipeline_name.ENDING and detail.ready_at is None:
            # The current step and the earlier ones; the log arrives later than the name.
            return is_due and now - (pipeline.updated_at or now) < GIVE_UP_S
        return is_due and observation.is_last_witness(pipeline, beat)

    async def _fetch_detail(self, project_id: int, one: Found, skew: float, now: float) -> None:
        pipeline, beat = one
        self._log_at[pipeline.id] = now
        self._statuses[pipeline.id] = pipeline.status
        await self._quietly(self._explain(project_id, pipeline, beat, skew, now))

    async def _explain(
        self, project_id: int, pipeline: Pipeline, beat: Heartbeat, skew: float, now: float
    ) -> None:
        """Request the job and its log: which step failed, which steps ran, when it was ready."""
        job = self._jobs.get(pipeline.id)
        if job is None or not observation.is_live(pipeline):
            jobs = await self._api.jobs(project_id, pipeline.id)
            if not jobs:
                return
            job = self._jobs[pipeline.id] = jobs[0]
        part = await self._api.trace(project_id, job.id, 0, MOST_LOG)
        parsed = job_log.read(part.data)
        is_live = observation.is_live(pipeline)
        self._memory.details[pipeline.id] = Detail(
            started_at=_started(job, skew) if parsed.steps or beat.at else None,
            ended_at=None if job.finished_at is None else job.finished_at + skew,
            failure_reason=job.failure_reason,
            tail=None if is_live else parsed.tail,
            exit_code=None if is_live else parsed.exit_code,
            steps=parsed.steps,
            ready_at=parsed.ready_at,
            beat_at=parsed.beat_at,
            cache_is_local=parsed.cache_is_local,
            log_is_cut=parsed.is_cut,
        )

    async def _ask_for_stuck(self, project: ProjectInfo, ones: list[Found], now: float) -> None:
        """Query the stuck jobs of all pipelines at once, only while one has been pending for a while."""
        waiting = [
            p for p, _ in ones if p.status == "pending" and p.created_at and now - p.created_at >= STUCK_S
        ]
        if not waiting:
            self._memory.stuck = frozenset()
            return
        if now - self._stuck_at < STUCK_S:
            return
        self._stuck_at = now
        try:
            self._memory.stuck = await self._api.stuck_pipelines(project.path)
            if self._memory.stuck and now - self._runners_at >= FULL_S:
                self._runners_at = now
                runners = await runner_fit.runners_of(self._api, project.id)
                reason = runner_fit.none_fits(runners or [], self._tags, is_protected=False)
                known = runners is not None and reason is not None
                self._memory.why_stuck = reason[0] if known and reason else NONE_ONLINE
        except ProviderError as error:
            log.info("the query for stuck jobs failed: %s", error)

    async def _quietly(self, work: Coroutine[Any, Any, object]) -> None:
        """Run a request for details, which may fail: the change itself is known."""
        try:
            await work
        except ProviderError as error:
            log.info("a request for details failed: %s", error)

    def _forget(self, kept: set[int]) -> None:
        kept = kept | self._live
        self._memory.clocks = {i: clock for i, clock in self._memory.clocks.items() if i in kept}
        self._memory.details = {i: detail for i, detail in self._memory.details.items() if i in kept}
        self._log_at = {i: at for i, at in self._log_at.items() if i in kept}
        self._jobs = {i: job for i, job in self._jobs.items() if i in kept}
        self._before = {i: found for i, found in self._before.items() if i in kept}
        self._statuses = {i: status for i, status in self._statuses.items() if i in kept}


def _started(job: Job, skew: float) -> float | None:
    return None if job.started_at is None else job.started_at + skew


def _of_workspaces(pipelines: Iterable[Pipeline]) -> list[Pipeline]:
    return [pipeline for pipeline in pipelines if (pipeline.ref or "").startswith(pipeline_name.BRANCH)]
