"""The server's data, and the state machine of pipelines and jobs.

States, reapers and reasons are those of GitLab's "CI/CD job statuses", `Ci::HasStatus`, and of the workers
that drop stuck and timed-out builds.
"""

from __future__ import annotations

import fnmatch
import secrets
from dataclasses import dataclass, field
from typing import Any

from tests.gitlab_server.clock import Clock
from tests.gitlab_server.repositories import Repository

REPORTER, DEVELOPER, MAINTAINER, OWNER = 20, 30, 40, 50
COMPLETED = frozenset({"success", "failed", "canceled", "skipped"})
DAY, HOUR = 86400.0, 3600.0


@dataclass
class User:
    id: int
    username: str


@dataclass
class Token:
    value: str
    user: User
    scopes: list[str]
    expires_at: float | None = None
    revoked: bool = False


@dataclass
class Variable:
    """A CI/CD variable; every job of the project gets it, where it is not protected."""

    value: str
    masked: bool = True
    protected: bool = False
    raw: bool = False


@dataclass
class Package:
    """A generic one. GitLab keeps every upload of a file, and gives the newest."""

    id: int
    name: str
    version: str
    files: dict[str, list[bytes]] = field(default_factory=dict)


@dataclass
class Project:
    id: int
    path: str
    repository: Repository
    roles: dict[int, int]
    ci_config_path: str | None = None
    build_timeout: float = 3600.0
    pipelines_enabled: bool = True
    archived: bool = False
    protected: list[str] = field(default_factory=list)
    """Wildcards of branches that only maintainers may push to."""
    push_rule: str | None = None
    """The answer of the push rule to every push, None without a rule."""
    variables_forbidden: bool = True
    quota_exceeded: bool = False
    cancellation_role: int = DEVELOPER
    separated_caches: bool = True
    allowlist: set[int] = field(default_factory=set)
    moved_to: str | None = None
    variables: dict[str, Variable] = field(default_factory=dict)
    packages: list[Package] = field(default_factory=list)
    packages_enabled: bool = True
    jobs_may_push: bool = False
    """ci_push_repository_for_job_token_allowed."""


@dataclass
class Runner:
    id: int
    token: str
    description: str
    tags: list[str]
    project: int | None = None
    run_untagged: bool = True
    paused: bool = False
    access_level: str = "not_protected"
    locked: bool = False
    maximum_timeout: float | None = None
    contacted_at: float | None = None


@dataclass
class Job:
    id: int
    token: str
    pipeline: Pipeline
    name: str
    config: dict[str, Any]
    created_at: float
    status: str = "created"
    failure_reason: str | None = None
    pending_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    updated_at: float = 0.0
    runner: Runner | None = None
    cancels_gracefully: bool = False
    trace: bytearray = field(default_factory=bytearray)
    timeout_s: float = 3600.0
    exit_code: int | None = None

    @property
    def is_live(self) -> bool:
        return self.status not in COMPLETED


@dataclass
class Pipeline:
    id: int
    project: Project
    ref: str
    sha: str
    source: str
    user: User
    name: str | None
    created_at: float
    updated_at: float
    jobs: list[Job] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        return self.jobs[-1].status if self.jobs else "created"


class State:
    """Everything of one instance. Only the server's thread touches it while requests are served."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.version = "19.4.1-ee"
        self.users: dict[int, User] = {}
        self.tokens: dict[str, Token] = {}
        self.projects: dict[int, Project] = {}
        self.pipelines: dict[int, Pipeline] = {}
        self.jobs: dict[int, Job] = {}
        self.runners: dict[str, Runner] = {}
        self.stuck_in_resource: set[str] = set()
        """Resource groups that never let a job go on, as happens on the real one."""
        self.trace_update_interval = 3
        self.external_url: str | None = None
        """What it calls itself in its answers; None for the address that it has."""
        self._last_id = 0

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def role(self, user: User, project: Project) -> int:
        return project.roles.get(user.id, 0)

    def project(self, key: str) -> Project | None:
        return next((p for p in self.projects.values() if key in (str(p.id), p.path)), None)

    # Pipelines.

    def add_pipeline(
        self,
        project: Project,
        ref: str,
        sha: str,
        user: User,
        name: str | None,
        jobs: dict[str, dict[str, Any]],
    ) -> Pipeline:
        now = self.clock.now()
        pipeline = Pipeline(self.new_id(), project, ref, sha, "api", user, name, now, now)
        for job_name, config in jobs.items():
            job = Job(self.new_id(), f"glcbt-{secrets.token_hex(12)}", pipeline, job_name, config, now)
            job.updated_at = now
            pipeline.jobs.append(job)
            self.jobs[job.id] = job
        self.pipelines[pipeline.id] = pipeline
        self.advance()
        return pipeline

    def delete_pipeline(self, pipeline: Pipeline) -> None:
        for job in pipeline.jobs:
            del self.jobs[job.id]
        del self.pipelines[pipeline.id]

    # The state machine.

    def advance(self) -> None:
        """Everything that happens by itself: jobs become pending, reapers reap."""
        now = self.clock.now()
        for job in list(self.jobs.values()):
            self._reap(job, now)
        for job in sorted(self.jobs.values(), key=lambda job: job.id):
            if job.status in ("created", "waiting_for_resource"):
                self._enqueue(job, now)

    def _enqueue(self, job: Job, now: float) -> None:
        if job.pipeline.project.quota_exceeded:
            self.finish(job, "failed", "ci_quota_exceeded")
            return
        group = job.config.get("resource_group")
        if group is not None and (group in self.stuck_in_resource or self._is_taken(job, group)):
            self._set(job, "waiting_for_resource", now)
            return
        job.pending_at = now
        self._set(job, "pending", now)

    def _is_taken(self, job: Job, group: str) -> bool:
        """A resource is held until the job's status is a completed one, so also while it is canceling."""
        return any(
            other is not job
            and other.pipeline.project is job.pipeline.project
            and other.config.get("resource_group") == group
            and other.status in ("pending", "running", "canceling")
            for other in self.jobs.values()
        )

    def _reap(self, job: Job, now: float) -> None:
        if job.status == "pending":
            waited = now - (job.pending_at or now)
            if self.is_stuck(job) and waited > HOUR:
                self.finish(job, "failed", "stuck_pending_no_matching_runners")
            elif waited > DAY:
                self.finish(job, "failed", "stuck_pending_with_matching_runners")
        elif job.status in ("running", "canceling") and job.started_at is not None:
            if now - job.started_at > job.timeout_s + 15 * 60:
                self.finish(job, "failed", f"server_timeout_{job.status}")
            elif now - job.updated_at > HOUR:
                self.finish(job, "failed", f"no_updates_{job.status}")

    def is_stuck(self, job: Job) -> bool:
        """No runner that is not paused would take it."""
        return job.status == "pending" and not any(
            self.matches(runner, job) and not runner.paused for runner in self.runners.values()
        )

    def matches(self, runner: Runner, job: Job) -> bool:
        tags = set(job.config.get("tags", []))
        in_scope = runner.project is None or runner.project == job.pipeline.project.id
        protected = job.pipeline.project.protected
        is_protected = any(fnmatch.fnmatchcase(job.pipeline.ref, name) for name in protected)
        takes = runner.access_level == "not_protected" or is_protected
        return in_scope and takes and tags <= set(runner.tags) and bool(tags or runner.run_untagged)

    def start(self, job: Job, runner: Runner, *, cancels_gracefully: bool) -> None:
        now = self.clock.now()
        job.runner, job.started_at, job.cancels_gracefully = runner, now, cancels_gracefully
        wanted = job.config.get("timeout_s") or job.pipeline.project.build_timeout
        job.timeout_s = min(wanted, runner.maximum_timeout or wanted)
        self._set(job, "running", now)

    def cancel(self, job: Job) -> None:
        """As `cancel` of the API does; nothing happens to a job that has ended, or is ending."""
        if not job.is_live or job.status == "canceling":
            return
        if job.status == "running" and job.cancels_gracefully:
            self._set(job, "canceling", self.clock.now())
        else:
            self.finish(job, "canceled", None)

    def finish(self, job: Job, status: str, reason: str | None, exit_code: int | None = None) -> None:
        """A canceling job ends as canceled, whatever was reported."""
        if not job.is_live:
            return
        now = self.clock.now()
        if job.status == "canceling":
            status, reason = "canceled", None
        job.failure_reason = reason if status == "failed" else None
        job.finished_at, job.exit_code = now, exit_code
        self._set(job, status, now)
        for other in self.jobs.values():
            if other.status == "waiting_for_resource":
                self._enqueue(other, now)

    def touch(self, job: Job) -> None:
        job.updated_at = self.clock.now()

    def _set(self, job: Job, status: str, now: float) -> None:
        if job.status != status:
            job.status, job.updated_at, job.pipeline.updated_at = status, now, now
