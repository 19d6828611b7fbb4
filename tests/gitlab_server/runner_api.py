"""The API between GitLab and runners, version 4: `lib/api/ci/runner.rb`, and GitLab Runner's `network/gitlab.go`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tests.gitlab_server.id_tokens import Issuer
from tests.gitlab_server.state import Job, Runner, State

_RANGE = re.compile(r"(\d+)-(\d+)")


class RunnerApi:
    """The handlers. `base` is the instance's address."""

    def __init__(self, state: State, issuer: Issuer, base: Callable[[], str]) -> None:
        self._state = state
        self._issuer = issuer
        self._base = base

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v4/runners", self.register),
            web.post("/api/v4/runners/verify", self.verify),
            web.post("/api/v4/jobs/request", self.request),
            web.patch("/api/v4/jobs/{job}/trace", self.trace),
            web.put("/api/v4/jobs/{job}", self.update),
        ]

    def add_runner(self, description: str, tags: list[str], **more: Any) -> Runner:  # noqa: ANN401
        runner = Runner(self._state.new_id(), f"glrt-{secrets.token_hex(10)}", description, tags, **more)
        self._state.runners[runner.token] = runner
        self._state.advance()
        return runner

    async def register(self, request: web.Request) -> web.Response:
        body = await request.json()
        tags = [tag for tag in str(body.get("tag_list", "")).split(",") if tag]
        runner = self.add_runner(body.get("description") or "runner", tags)
        return web.json_response(
            {"id": runner.id, "token": runner.token, "token_expires_at": None}, status=201
        )

    async def verify(self, request: web.Request) -> web.Response:
        runner = self._state.runners.get((await request.json()).get("token", ""))
        if runner is None:
            return _status(403)
        return web.json_response({"id": runner.id, "token": runner.token, "token_expires_at": None})

    async def request(self, request: web.Request) -> web.Response:
        body = await request.json()
        runner = self._state.runners.get(body.get("token", ""))
        if runner is None:
            return _status(403)
        runner.contacted_at = self._state.clock.now()
        self._state.advance()
        waiting = sorted(
            (
                j
                for j in self._state.jobs.values()
                if j.status == "pending" and self._state.matches(runner, j)
            ),
            key=lambda job: job.id,
        )
        if runner.paused or not waiting:
            return web.Response(status=204, headers={"X-GitLab-Last-Update": secrets.token_hex(8)})
        features = (body.get("info") or {}).get("features") or {}
        job = waiting[0]
        self._state.start(job, runner, cancels_gracefully=bool(features.get("cancel_gracefully")))
        return web.json_response(self._payload(job, runner), status=201)

    async def trace(self, request: web.Request) -> web.Response:
        job = self._job(request, request.headers.get("JOB-TOKEN", ""))
        if job is None:
            return _status(403)
        found = _RANGE.fullmatch(request.headers.get("Content-Range", ""))
        if found is None:
            return _status(400)
        if not job.is_live:
            return web.Response(status=403, headers={"Job-Status": job.status})
        start, data = int(found[1]), await request.read()
        if start > len(job.trace):
            return web.Response(status=416, headers=self._trace_headers(job))
        job.trace[start:] = data
        self._state.touch(job)
        return web.Response(status=202, headers=self._trace_headers(job))

    async def update(self, request: web.Request) -> web.Response:
        body = await request.json()
        job = self._job(request, body.get("token", ""))
        if job is None or not job.is_live:
            return web.Response(status=403, headers={"Job-Status": job.status if job else "failed"})
        self._state.touch(job)
        state = body.get("state")
        if state == "running":
            return web.Response(status=200, headers={"Job-Status": job.status})
        output = body.get("output") or {}
        if output.get("bytesize", len(job.trace)) > len(job.trace):
            return web.Response(status=202, headers=self._trace_headers(job))
        self._state.finish(job, state, body.get("failure_reason") or None, body.get("exit_code"))
        return web.Response(status=200, headers={"Job-Status": job.status})

    def _job(self, request: web.Request, token: str) -> Job | None:
        number = request.match_info["job"]
        job = self._state.jobs.get(int(number) if number.isdecimal() else 0)
        if job is None or job.token != token or job.runner is None:
            return None
        job.runner.contacted_at = self._state.clock.now()
        return job

    def _trace_headers(self, job: Job) -> dict[str, str]:
        return {
            "Job-Status": job.status,
            "Range": f"0-{len(job.trace)}",
            "X-GitLab-Trace-Update-Interval": str(self._state.trace_update_interval),
        }

    def _payload(self, job: Job, runner: Runner) -> dict[str, Any]:
        config, project = job.config, job.pipeline.project
        steps = [
            {
                "name": "script",
                "script": _lines(config, "before_script") + _lines(config, "script"),
                "timeout": int(job.timeout_s),
                "when": "on_success",
                "allow_failure": False,
            }
        ]
        if config.get("after_script"):
            steps.append(
                {
                    "name": "after_script",
                    "script": _lines(config, "after_script"),
                    "timeout": int(job.timeout_s),
                    "when": "always",
                    "allow_failure": True,
                }
            )
        return {
            "id": job.id,
            "token": job.token,
            "allow_git_fetch": True,
            "job_info": {
                "id": job.id,
                "name": job.name,
                "stage": config.get("stage", "test"),
                "project_id": project.id,
                "project_name": project.path.rpartition("/")[2],
                "pipeline_id": job.pipeline.id,
                "project_full_path": project.path,
                "user_id": job.pipeline.user.id,
                "time_in_queue_seconds": 0,
                "project_jobs_running_on_instance_runners_count": "0",
            },
            "git_info": {
                "repo_url": self._repository_url(job),
                "ref": job.pipeline.ref,
                "sha": job.pipeline.sha,
                "before_sha": "0" * 40,
                "ref_type": "branch",
                "refspecs": [f"+refs/heads/{job.pipeline.ref}:refs/remotes/origin/{job.pipeline.ref}"],
                "depth": 20,
                "protected": False,
                "repo_object_format": "sha1",
            },
            "runner_info": {"timeout": int(job.timeout_s), "runner_session_url": None},
            "inputs": [],
            "variables": self._variables(job, runner),
            "steps": steps,
            "hooks": [],
            "image": _image(config.get("image")),
            "services": [_image(service) for service in config.get("services", [])],
            "artifacts": None,
            "cache": [self._cache(cache, job) for cache in _list(config.get("cache"))],
            "credentials": [],
            "dependencies": [],
            "features": {
                "trace_sections": True,
                "token_mask_prefixes": ["glpat-"],
                "failure_reasons": [
                    "script_failure",
                    "runner_system_failure",
                    "job_execution_timeout",
                    "unknown_failure",
                ],
            },
            "secrets": {},
        }

    def _repository_url(self, job: Job) -> str:
        scheme, _, rest = self._base().partition("://")
        return f"{scheme}://gitlab-ci-token:{job.token}@{rest}/{job.pipeline.project.path}.git"

    def _variables(self, job: Job, runner: Runner) -> list[dict[str, Any]]:
        base, project = self._base(), job.pipeline.project
        host = base.partition("://")[2].partition("/")[0]
        predefined = {
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_SERVER": "yes",
            "CI_SERVER_URL": base,
            "CI_SERVER_HOST": host.partition(":")[0],
            "CI_SERVER_PORT": host.partition(":")[2],
            "CI_SERVER_VERSION": self._state.version,
            "CI_API_V4_URL": f"{base}/api/v4",
            "CI_JOB_ID": job.id,
            "CI_JOB_NAME": job.name,
            # In seconds, the earliest of all that GitLab knows, the runner's among them ("Predefined CI/CD variables").
            "CI_JOB_TIMEOUT": int(job.timeout_s),
            "CI_JOB_STARTED_AT": datetime.fromtimestamp(job.started_at or 0, UTC).strftime(
                "%Y-%m-%dT%H:%M:%SZ"
            ),
            "CI_JOB_STAGE": job.config.get("stage", "test"),
            "CI_JOB_URL": f"{base}/{project.path}/-/jobs/{job.id}",
            "CI_PIPELINE_ID": job.pipeline.id,
            "CI_PIPELINE_SOURCE": job.pipeline.source,
            "CI_PROJECT_ID": project.id,
            "CI_PROJECT_PATH": project.path,
            "CI_PROJECT_URL": f"{base}/{project.path}",
            "CI_REPOSITORY_URL": self._repository_url(job),
            "CI_COMMIT_SHA": job.pipeline.sha,
            "CI_COMMIT_REF_NAME": job.pipeline.ref,
            "CI_DEFAULT_BRANCH": "main",
            "CI_RUNNER_ID": runner.id,
            "GITLAB_USER_LOGIN": job.pipeline.user.username,
        }
        variables = [_variable(name, str(value), public=True) for name, value in predefined.items()]
        variables.append(_variable("CI_JOB_TOKEN", job.token, masked=True))
        for name, about in (job.config.get("id_tokens") or {}).items():
            token = self._issuer.token(job, about["aud"], base, self._state.clock.now())
            variables.append(_variable(name, token, masked=True))
        # The last one of a name counts ("CI/CD variable precedence").
        for name, value in (job.config.get("variables") or {}).items():
            is_raw = isinstance(value, dict) and value.get("expand") is False
            text = value["value"] if isinstance(value, dict) else value
            variables.append(_variable(name, str(text), public=True, raw=is_raw))
        for name, variable in job.pipeline.project.variables.items():
            if not variable.protected:
                variables.append(_variable(name, variable.value, masked=variable.masked, raw=variable.raw))
        for name, value in job.pipeline.variables.items():
            variables.append(_variable(name, value))
        return variables

    def _cache(self, cache: dict[str, Any], job: Job) -> dict[str, Any]:
        """`unprotect` keeps GitLab from adding to the key by the user's role."""
        key = str(cache.get("key") or "default")
        project = job.pipeline.project
        if project.separated_caches and not cache.get("unprotect"):
            protected = self._state.role(job.pipeline.user, project) >= 40
            key += "-protected" if protected else "-non_protected"
        return {
            "key": key,
            "untracked": bool(cache.get("untracked")),
            "policy": cache.get("policy", "pull-push"),
            "paths": cache.get("paths", []),
            "when": cache.get("when", "on_success"),
            "fallback_keys": cache.get("fallback_keys", []),
        }


def _variable(
    key: str, value: str, *, public: bool = False, masked: bool = False, raw: bool = False
) -> dict[str, Any]:
    return {"key": key, "value": value, "public": public, "file": False, "masked": masked, "raw": raw}


def _lines(config: dict[str, Any], key: str) -> list[str]:
    return [str(line) for line in _list(config.get(key))]


def _list(value: Any) -> list[Any]:  # noqa: ANN401
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _image(value: Any) -> dict[str, Any]:  # noqa: ANN401
    about: dict[str, Any] = {"name": value} if isinstance(value, str) else dict(value or {})
    variables = [
        _variable(name, str(v["value"] if isinstance(v, dict) else v), raw=isinstance(v, dict))
        for name, v in (about.get("variables") or {}).items()
    ]
    return {
        "name": about.get("name", ""),
        "alias": about.get("alias", ""),
        "entrypoint": about.get("entrypoint"),
        "command": about.get("command"),
        "variables": variables,
        "pull_policy": [],
        "ports": [],
    }


def _status(status: int) -> web.Response:
    return web.json_response({"message": str(status)}, status=status)
