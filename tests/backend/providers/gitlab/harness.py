"""Shared by the tests of the GitLab provider: an instance with a user, a project and a runner."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.backend.providers.contract import Harness, attempt, workspace
from tests.gitlab_runner import Runner
from tests.gitlab_server import GitLabServer
from tests.gitlab_server.state import Project, User
from tests.waiting import until
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.factory import gitlab_api
from wsdash.backend.providers.gitlab.provider import GitLabProvider
from wsdash.config.settings import GitLabSettings
from wsdash.model import Attempt, JobObservation, Workspace
from wsdash.paths import Paths
from wsdash.workload import Workload

PROJECT = "group/app"
FILES = {"README.md": "hello\n", ".gitlab-ci.yml": "test: {script: [make test]}\n"}


@dataclass
class Instance:
    """A server with a user who owns one project. Providers beat quickly, for tests have no time."""

    server: GitLabServer
    folder: Path
    user: User
    token: str
    project: Project
    runner_token: str
    settings: GitLabSettings
    clock: Callable[[], float] = time.time
    apis: list[GitLabApi] = field(default_factory=list)

    @classmethod
    def made(cls, server: GitLabServer, folder: Path) -> Instance:
        user = server.add_user("ada")
        project = server.add_project(PROJECT, FILES, owners=[user])
        settings = GitLabSettings(server.url, PROJECT, timeout_s=3600.0)
        return cls(server, folder, user, server.add_token(user), project, server.add_runner().token, settings)

    def runner(self, *, graceful: bool = True) -> Runner:
        return Runner(self.server.url, self.runner_token, self.folder / "runner", graceful=graceful)

    def api(self, token: str | None = None) -> GitLabApi:
        paths = Paths(self.folder / "state", self.folder / "config", self.folder / "cache")
        api = gitlab_api(self.server.url, lambda: token or self.token, paths, clock=self.clock)
        self.apis.append(api)
        return api

    def provider(self, *, owner: str = "0a0a0a0a", host: str = "here") -> GitLabProvider:
        return GitLabProvider(
            self.settings,
            self.api(),
            host=host,
            owner=owner,
            clock=self.clock,
            log_s=0.2,
            files_folder=self.folder,
            cache_key_file=self.folder / "cache.key",
        )


class GitLabHarness(Harness):
    """`run_inside` goes in through the runner's folder, which is on this machine in tests."""

    reaches_files = False

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        super().__init__(instance.provider, image="alpine:3", patience_s=30.0)

    async def launch(self, workload: Workload, of: Attempt | None = None) -> JobObservation:
        """Also until the log has come, which is later than the name of the pipeline."""
        launched = of or attempt()
        job = await super().launch(workload, of)
        trace = self.instance.server.state.pipelines[int(job.job_id)].jobs[0].trace
        await until(lambda: b"wsdash/1 ready" in trace, self.patience_s, "the log of the start")
        started, ended = (bytes(trace).count(b'"state":"%s"' % state) for state in (b"start", b"end"))

        def has_read_it(job: JobObservation) -> bool:
            done = [step for step in job.steps if step.ended_at is not None]
            return len(job.steps) >= started and len(done) >= ended

        return await self.until(launched, has_read_it)

    async def run_inside(self, *argv: str) -> tuple[int, bytes]:
        base = next(
            (self.instance.folder / "runner" / "builds").glob(f"*/{PROJECT}/.wsdash/{workspace().id}")
        )
        job = base / "run" / "job"
        process = await asyncio.create_subprocess_exec(
            "sh",
            str(job / "job.sh"),
            "enter",
            str(job / "workload.sh"),
            *argv,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(base / "live/home"),
                "PROJECTS_ROOT": str(base / "live/projects"),
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output


WORKLOAD = Workload(image="alpine")


def now(instance: Instance, number: int = 1, of: Workspace | None = None) -> Attempt:
    return replace(attempt(number, of), intended_at=instance.clock())
