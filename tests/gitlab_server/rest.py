"""GitLab's REST API v4 for users and for job tokens. Paths and answers are those of its pages of that name."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from tests.gitlab_server import answers, ci_config
from tests.gitlab_server.answers import Refusal, bad_request, forbidden, invalid, not_found, unauthorized
from tests.gitlab_server.clock import iso
from tests.gitlab_server.repositories import Conflict
from tests.gitlab_server.state import (
    DEVELOPER,
    MAINTAINER,
    OWNER,
    Job,
    Package,
    Pipeline,
    Project,
    State,
    Token,
    User,
    Variable,
)

Handler = Callable[[web.Request], Awaitable[web.Response]]
LIVE_FOR_TOKEN = ("running", "canceling")


class Rest:
    """The handlers. `base` is the instance's address."""

    def __init__(self, state: State, base: Callable[[], str]) -> None:
        self.state = state
        self._base = base

    def routes(self) -> list[web.RouteDef]:
        project, repository = "/api/v4/projects/{project}", "/api/v4/projects/{project}/repository"
        pipeline, job = project + "/pipelines/{pipeline}", project + "/jobs/{job}"
        table: list[tuple[str, str, Callable[[web.Request], web.Response | Awaitable[web.Response]]]] = [
            ("GET", "/api/v4/user", self.user),
            ("GET", "/api/v4/personal_access_tokens/self", self.token),
            ("GET", "/api/v4/version", self.version),
            ("GET", "/api/v4/metadata", self.version),
            ("GET", "/api/v4/projects", self.projects),
            ("GET", project, self.project),
            ("GET", repository + "/files/{path}", self.file),
            ("POST", repository + "/commits", self.commit),
            ("GET", repository + "/branches", self.branches),
            ("GET", repository + "/branches/{branch}", self.branch),
            ("DELETE", repository + "/branches/{branch}", self.delete_branch),
            ("GET", project + "/protected_branches", self.protected_branches),
            ("GET", project + "/runners", self.runners),
            ("GET", r"/api/v4/runners/{runner:\d+}", self.runner),
            ("GET", project + "/job_token_scope/allowlist", self.allowlist),
            ("GET", project + "/variables", self.variables),
            ("POST", project + "/variables", self.create_variable),
            ("GET", project + "/variables/{key}", self.variable),
            ("DELETE", project + "/variables/{key}", self.delete_variable),
            ("GET", project + "/packages", self.packages),
            ("DELETE", project + "/packages/{package}", self.delete_package),
            ("PUT", project + "/packages/generic/{name}/{version}/{file}", self.upload_package),
            ("GET", project + "/packages/generic/{name}/{version}/{file}", self.download_package),
            ("POST", project + "/ci/lint", self.lint),
            ("POST", project + "/pipeline", self.create_pipeline),
            ("GET", "/api/v4/pipelines", self.own_pipelines),
            ("GET", project + "/pipelines", self.pipelines),
            ("GET", project + "/pipelines/latest", self.latest_pipeline),
            ("GET", pipeline, self.pipeline),
            ("DELETE", pipeline, self.delete_pipeline),
            ("POST", pipeline + "/cancel", self.cancel_pipeline),
            ("PUT", pipeline + "/metadata", self.rename_pipeline),
            ("GET", pipeline + "/jobs", self.pipeline_jobs),
            ("GET", project + "/jobs", self.project_jobs),
            ("GET", job, self.job),
            ("GET", job + "/trace", self.trace),
            ("POST", job + "/cancel", self.cancel_job),
            ("GET", "/api/v4/job", self.job_of_token),
            ("GET", project + "/resource_groups/{group}", self.resource_group),
        ]
        return [web.route(method, path, _answering(handler)) for method, path, handler in table]

    # Who and what.

    def user(self, request: web.Request) -> web.Response:
        return web.json_response(answers.user(self._token(request).user))

    def token(self, request: web.Request) -> web.Response:
        token = self._token(request)
        expires = None if token.expires_at is None else (iso(token.expires_at) or "")[:10]
        return web.json_response({"scopes": token.scopes, "active": True, "expires_at": expires})

    def version(self, request: web.Request) -> web.Response:
        self._token(request)
        return web.json_response({"version": self.state.version, "revision": "0"})

    def projects(self, request: web.Request) -> web.Response:
        user = self._token(request).user
        least = int(request.query.get("min_access_level", "0"))
        found = [p for p in self.state.projects.values() if self.state.role(user, p) >= max(least, 1)]
        return self._paged(
            request, [answers.project(p, self.state.role(user, p), self._base()) for p in found]
        )

    def project(self, request: web.Request) -> web.Response:
        project = self.state.project(request.match_info["project"])
        if project is not None and project.moved_to is not None:
            target = str(request.url.with_path(f"/api/v4/projects/{self._id_of(project.moved_to)}"))
            raise web.HTTPMovedPermanently(target)
        user, found = self._project(request, 1, write=False)
        return web.json_response(answers.project(found, self.state.role(user, found), self._base()))

    def protected_branches(self, request: web.Request) -> web.Response:
        _, project = self._project(request, MAINTAINER, write=False)
        return self._paged(request, [{"name": name} for name in project.protected])

    def runners(self, request: web.Request) -> web.Response:
        _, project = self._project(request, MAINTAINER, write=False)
        found = [r for r in self.state.runners.values() if r.project in (None, project.id)]
        return self._paged(request, [answers.runner(r) for r in found])

    def runner(self, request: web.Request) -> web.Response:
        """Instance runners are shown to everybody, those of a project to its maintainers."""
        user = self._token(request).user
        wanted = int(request.match_info["runner"])
        found = next((r for r in self.state.runners.values() if r.id == wanted), None)
        if found is None:
            raise not_found("Runner")
        project = None if found.project is None else self.state.projects[found.project]
        if project is not None and self.state.role(user, project) < MAINTAINER:
            raise forbidden("No access granted")
        return web.json_response(answers.runner_details(found))

    def allowlist(self, request: web.Request) -> web.Response:
        _, project = self._project(request, MAINTAINER, write=False)
        return self._paged(request, [{"id": found} for found in sorted({project.id, *project.allowlist})])

    def variable(self, request: web.Request) -> web.Response:
        _, project = self._project(request, MAINTAINER, write=False)
        key = request.match_info["key"]
        found = project.variables.get(key)
        if found is None:
            raise not_found("Variable")
        return web.json_response(answers.variable(key, found))

    def variables(self, request: web.Request) -> web.Response:
        _, project = self._project(request, MAINTAINER, write=False)
        return self._paged(
            request, [answers.variable(key, found) for key, found in project.variables.items()]
        )

    async def create_variable(self, request: web.Request) -> web.Response:
        _, project = self._project(request, MAINTAINER)
        body = await request.json()
        key, value, masked = str(body["key"]), str(body["value"]), bool(body.get("masked"))
        if key in project.variables:
            raise Refusal(400, {"message": {"key": [f"({key}) has already been taken"]}})
        if not re.fullmatch(r"[A-Za-z0-9_]{1,255}", key):
            raise Refusal(400, {"message": {"key": ["can contain only letters, digits and '_'."]}})
        # "Mask a CI/CD variable": one line, no spaces, eight characters; without `raw` fewer kinds of them.
        allowed = r"\S{8,}" if body.get("raw") else r"[a-zA-Z0-9_+=/@:.~-]{8,}"
        if masked and not re.fullmatch(allowed, value):
            raise Refusal(400, {"message": {"value": ["is invalid"]}})
        made = Variable(value, masked, bool(body.get("protected")), bool(body.get("raw")))
        project.variables[key] = made
        return web.json_response(answers.variable(key, made), status=201)

    def delete_variable(self, request: web.Request) -> web.Response:
        _, project = self._project(request, MAINTAINER)
        if project.variables.pop(request.match_info["key"], None) is None:
            raise not_found("Variable")
        return web.Response(status=204)

    # The repository.

    def file(self, request: web.Request) -> web.Response:
        _, project = self._project(request, DEVELOPER, write=False)
        text = project.repository.read(request.query.get("ref", "main"), request.match_info["path"])
        if text is None:
            raise not_found("File")
        return web.json_response({"file_path": request.match_info["path"], "size": len(text)})

    async def commit(self, request: web.Request) -> web.Response:
        user, project = self._project(request, DEVELOPER)
        body = await request.json()
        branch = body.get("branch")
        if not branch:
            raise Refusal(400, {"error": "branch is missing"})
        if self._is_protected(project, branch) and self.state.role(user, project) < MAINTAINER:
            raise forbidden("You are not allowed to push into this branch")
        if project.push_rule is not None:
            raise bad_request(project.push_rule)
        try:
            made = project.repository.commit(
                branch,
                body.get("commit_message", ""),
                body.get("actions", []),
                author=user.username,
                start_branch=body.get("start_branch"),
            )
        except Conflict as conflict:
            raise bad_request(str(conflict)) from conflict
        self._push_pipeline(project, branch, made.id, made.message, user)
        return web.json_response(answers.commit(made), status=201)

    def branches(self, request: web.Request) -> web.Response:
        _, project = self._project(request, DEVELOPER, write=False)
        search = request.query.get("search", "")
        found = [
            {"name": name, "commit": answers.commit(commit), "protected": self._is_protected(project, name)}
            for name, commit in project.repository.branches().items()
            if (name.startswith(search[1:]) if search.startswith("^") else search in name)
        ]
        return self._paged(request, found)

    def branch(self, request: web.Request) -> web.Response:
        _, project = self._project(request, DEVELOPER, write=False)
        name = request.match_info["branch"]
        commit = project.repository.branches().get(name)
        if commit is None:
            raise not_found("Branch")
        return web.json_response({"name": name, "commit": answers.commit(commit)})

    def delete_branch(self, request: web.Request) -> web.Response:
        user, project = self._project(request, DEVELOPER)
        name = request.match_info["branch"]
        if project.repository.head(name) is None:
            raise not_found("Branch")
        if self._is_protected(project, name) and self.state.role(user, project) < MAINTAINER:
            raise forbidden("You are not allowed to delete this branch")
        project.repository.delete_branch(name)
        return web.Response(status=204)

    # Pipelines.

    async def lint(self, request: web.Request) -> web.Response:
        self._project(request, DEVELOPER, write=False)
        body = await request.json()
        try:
            ci_config.read(body["content"], {}, "api")
        except ci_config.ConfigError as error:
            return web.json_response({"valid": False, "errors": [str(error)], "warnings": []})
        return web.json_response({"valid": True, "errors": [], "warnings": []})

    async def create_pipeline(self, request: web.Request) -> web.Response:
        user, project = self._project(request, 1)
        body = await request.json()
        if not project.pipelines_enabled:
            raise invalid("Pipelines are disabled!")
        if self.state.role(user, project) < DEVELOPER:
            raise invalid("Insufficient permissions to create a new pipeline")
        if body.get("variables") and project.variables_forbidden:
            raise invalid("Insufficient permissions to set pipeline variables")
        ref = body.get("ref") or ""
        sha = project.repository.head(ref)
        if sha is None:
            raise invalid("Reference not found")
        if self._is_protected(project, ref) and self.state.role(user, project) < MAINTAINER:
            raise invalid(
                f"You do not have sufficient permission to run a pipeline on '{ref}'. Please select a different"
                " branch or contact your administrator for assistance."
            )
        variables = {one["key"]: one["value"] for one in body.get("variables") or []}
        made = self._run(project, ref, sha, user, body.get("inputs") or {}, "api", variables)
        return web.json_response(made, status=201)

    def pipelines(self, request: web.Request) -> web.Response:
        _, project = self._project(request, DEVELOPER, write=False)
        query = request.query
        found = [
            pipeline
            for pipeline in sorted(self.state.pipelines.values(), key=lambda p: -p.id)
            if pipeline.project is project
            and query.get("ref", pipeline.ref) == pipeline.ref
            and query.get("source", pipeline.source) == pipeline.source
            and query.get("status", pipeline.status) == pipeline.status
            and query.get("name", pipeline.name) == pipeline.name
            and query.get("username", pipeline.user.username) == pipeline.user.username
            and (iso(pipeline.updated_at) or "") > query.get("updated_after", "")
        ]
        return self._paged(request, [answers.pipeline(pipeline, self._base()) for pipeline in found])

    def own_pipelines(self, request: web.Request) -> web.Response:
        """Since 19.3, for the user's own in all projects; pages go on by a cursor, which is not modelled."""
        user = self._token(request).user
        if tuple(map(int, self.state.version.split(".")[:2])) < (19, 3):
            raise not_found("")
        found = [
            pipeline
            for pipeline in sorted(self.state.pipelines.values(), key=lambda p: -p.id)
            if pipeline.user is user and request.query.get("source", pipeline.source) == pipeline.source
        ]
        shown = found[: min(100, _number(request.query.get("per_page", "20")))]
        return web.json_response([answers.pipeline(pipeline, self._base()) for pipeline in shown])

    def latest_pipeline(self, request: web.Request) -> web.Response:
        _, project = self._project(request, DEVELOPER, write=False)
        ref = request.query.get("ref", "main")
        found = [p for p in self.state.pipelines.values() if p.project is project and p.ref == ref]
        if not found:
            raise forbidden()
        return web.json_response(answers.pipeline(max(found, key=lambda p: p.id), self._base()))

    def pipeline(self, request: web.Request) -> web.Response:
        _, found = self._pipeline(request, DEVELOPER)
        return web.json_response(answers.pipeline(found, self._base()))

    def delete_pipeline(self, request: web.Request) -> web.Response:
        _, found = self._pipeline(request, OWNER)
        self.state.delete_pipeline(found)
        return web.Response(status=204)

    def cancel_pipeline(self, request: web.Request) -> web.Response:
        user, found = self._pipeline(request, DEVELOPER)
        self._may_cancel(user, found.project)
        for job in found.jobs:
            self.state.cancel(job)
        return web.json_response(answers.pipeline(found, self._base()))

    async def rename_pipeline(self, request: web.Request) -> web.Response:
        if "JOB-TOKEN" in request.headers:
            job = self._job_of_token(request)
            found = self.state.pipelines.get(int(request.match_info["pipeline"]))
            if found is None or found is not job.pipeline:
                raise not_found("Pipeline")
        else:
            _, found = self._pipeline(request, DEVELOPER)
        name = (await request.json()).get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= 255:
            raise Refusal(400, {"message": {"name": ["is too long (maximum is 255 characters)"]}})
        found.name = name
        return web.json_response(answers.pipeline(found, self._base()))

    # Packages.

    def packages(self, request: web.Request) -> web.Response:
        _, project = self._project(request, 20, write=False)
        wanted = request.query.get("package_name", "")
        found = [p for p in project.packages if wanted in p.name]
        return self._paged(
            request,
            [{"id": p.id, "name": p.name, "version": p.version, "package_type": "generic"} for p in found],
        )

    def delete_package(self, request: web.Request) -> web.Response:
        _, project = self._project(request, MAINTAINER)
        wanted = int(request.match_info["package"])
        if all(package.id != wanted for package in project.packages):
            raise not_found("Package")
        project.packages = [package for package in project.packages if package.id != wanted]
        return web.Response(status=204)

    async def upload_package(self, request: web.Request) -> web.Response:
        project = self._project_of_job(request)
        name, version = request.match_info["name"], request.match_info["version"]
        found = next((p for p in project.packages if (p.name, p.version) == (name, version)), None)
        if found is None:
            found = Package(self.state.new_id(), name, version)
            project.packages.append(found)
        found.files.setdefault(request.match_info["file"], []).append(await request.read())
        return web.json_response({"message": "201 Created"}, status=201)

    def download_package(self, request: web.Request) -> web.Response:
        project = self._project_of_job(request)
        name, version = request.match_info["name"], request.match_info["version"]
        for package in project.packages:
            uploads = package.files.get(request.match_info["file"], [])
            if (package.name, package.version) == (name, version) and uploads:
                return web.Response(body=uploads[-1], content_type="application/octet-stream")
        raise not_found("Package")

    def _project_of_job(self, request: web.Request) -> Project:
        """A job's token reaches its own project."""
        job = self._job_of_token(request)
        project = self.state.project(request.match_info["project"])
        if project is None or job.pipeline.project is not project or not project.packages_enabled:
            raise not_found("Project")
        return project

    # Jobs.

    def pipeline_jobs(self, request: web.Request) -> web.Response:
        _, found = self._pipeline(request, DEVELOPER)
        return self._paged(request, [answers.job(job, self._base()) for job in reversed(found.jobs)])

    def project_jobs(self, request: web.Request) -> web.Response:
        _, project = self._project(request, DEVELOPER, write=False)
        scopes = request.query.getall("scope[]", [])
        found = [
            answers.job(job, self._base())
            for job in sorted(self.state.jobs.values(), key=lambda job: -job.id)
            if job.pipeline.project is project and (not scopes or job.status in scopes)
        ]
        return self._paged(request, found, counts=False)

    def job(self, request: web.Request) -> web.Response:
        _, found = self._job(request, DEVELOPER)
        return web.json_response(answers.job(found, self._base()))

    def trace(self, request: web.Request) -> web.Response:
        _, found = self._job(request, DEVELOPER)
        return web.Response(body=bytes(found.trace), content_type="text/plain")

    def cancel_job(self, request: web.Request) -> web.Response:
        user, found = self._job(request, DEVELOPER)
        self._may_cancel(user, found.pipeline.project)
        if request.query.get("force") == "true":
            if self.state.role(user, found.pipeline.project) < MAINTAINER:
                raise forbidden()
            if found.status == "canceling":
                self.state.finish(found, "canceled", None)
        else:
            self.state.cancel(found)
        return web.json_response(answers.job(found, self._base()), status=201)

    def job_of_token(self, request: web.Request) -> web.Response:
        return web.json_response(answers.job(self._job_of_token(request), self._base()))

    def resource_group(self, request: web.Request) -> web.Response:
        self._project(request, DEVELOPER, write=False)
        return web.json_response({"key": request.match_info["group"], "process_mode": "unordered"})

    # Small helpers.

    def _run(
        self,
        project: Project,
        ref: str,
        sha: str,
        user: User,
        inputs: dict[str, Any],
        source: str,
        variables: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        path = project.ci_config_path or ".gitlab-ci.yml"
        text = project.repository.read(sha, path)
        if text is None:
            raise invalid("Missing CI config file")
        try:
            config = ci_config.read(text, inputs, source)
        except ci_config.ConfigError as error:
            raise invalid(str(error)) from error
        pipeline = self.state.add_pipeline(project, ref, sha, user, config.name, config.jobs)
        pipeline.source = source
        pipeline.variables = variables or {}
        return answers.pipeline(pipeline, self._base())

    def _push_pipeline(self, project: Project, ref: str, sha: str, message: str, user: User) -> None:
        """A push starts a pipeline by itself, unless its message or the configuration forbids it."""
        if re.search(r"\[(skip ci|ci skip)\]", message, re.IGNORECASE) or not project.pipelines_enabled:
            return
        try:
            self._run(project, ref, sha, user, {}, "push")
        except Refusal:
            return

    def _token(self, request: web.Request) -> Token:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = self.state.tokens.get(request.headers.get("PRIVATE-TOKEN") or bearer)
        if token is None:
            raise unauthorized()
        if token.revoked:
            raise Refusal(
                401,
                {
                    "error": "invalid_token",
                    "error_description": "Token was revoked. You have to re-authorize from the user.",
                },
            )
        if token.expires_at is not None and token.expires_at < self.state.clock.now():
            raise Refusal(
                401,
                {
                    "error": "invalid_token",
                    "error_description": "Token is expired. You can either do re-authorization or token refresh.",
                },
            )
        wanted = ("api", "read_api") if request.method in ("GET", "HEAD") else ("api",)
        if not set(wanted) & set(token.scopes):
            raise Refusal(
                403,
                {
                    "error": "insufficient_scope",
                    "error_description": "The request requires higher privileges than provided by the access token.",
                    "scope": " ".join(wanted),
                },
            )
        return token

    def _project(self, request: web.Request, least: int, *, write: bool = True) -> tuple[User, Project]:
        user = self._token(request).user
        project = self.state.project(request.match_info["project"])
        if project is None or self.state.role(user, project) == 0:
            raise not_found("Project")
        if write and request.method != "GET" and project.archived:
            raise forbidden("403 Forbidden - The project is archived")
        if self.state.role(user, project) < least:
            raise forbidden()
        return user, project

    def _pipeline(self, request: web.Request, least: int) -> tuple[User, Pipeline]:
        user, project = self._project(request, least, write=request.method != "GET")
        found = self.state.pipelines.get(_number(request.match_info["pipeline"]))
        if found is None or found.project is not project:
            raise not_found("Pipeline")
        return user, found

    def _job(self, request: web.Request, least: int) -> tuple[User, Job]:
        user, project = self._project(request, least, write=request.method != "GET")
        found = self.state.jobs.get(_number(request.match_info["job"]))
        if found is None or found.pipeline.project is not project:
            raise not_found("Job")
        return user, found

    def _job_of_token(self, request: web.Request) -> Job:
        token = request.headers.get("JOB-TOKEN", "")
        job = next((job for job in self.state.jobs.values() if job.token == token), None)
        if job is None or job.status not in LIVE_FOR_TOKEN:
            raise unauthorized()
        return job

    def _may_cancel(self, user: User, project: Project) -> None:
        if self.state.role(user, project) < project.cancellation_role:
            raise forbidden()

    def _is_protected(self, project: Project, branch: str) -> bool:
        return any(fnmatch.fnmatchcase(branch, pattern) for pattern in project.protected)

    def _id_of(self, path: str) -> int:
        found = self.state.project(path)
        assert found is not None
        return found.id

    def _paged(self, request: web.Request, items: Sequence[object], *, counts: bool = True) -> web.Response:
        page = max(1, _number(request.query.get("page", "1")))
        size = min(100, max(1, _number(request.query.get("per_page", "20"))))
        shown = items[(page - 1) * size : page * size]
        has_more = len(items) > page * size
        headers = {
            "X-Page": str(page),
            "X-Per-Page": str(size),
            "X-Next-Page": str(page + 1) if has_more else "",
            "X-Prev-Page": str(page - 1) if page > 1 else "",
        }
        if counts:
            headers |= {"X-Total": str(len(items)), "X-Total-Pages": str(-(-len(items) // size))}
        return web.json_response(list(shown), headers=headers)


def _answering(handler: Callable[[web.Request], web.Response | Awaitable[web.Response]]) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        try:
            answered = handler(request)
            return answered if isinstance(answered, web.Response) else await answered
        except Refusal as refusal:
            return refusal.response

    return answer


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
