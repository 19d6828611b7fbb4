"""The endpoints of GitLab's REST API that wsdash uses, and one GraphQL query. See GitLab's pages of those names."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import TypeVar
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter, ValidationError

from wsdash.backend.providers.errors import Unreachable
from wsdash.backend.providers.gitlab.api.client import GitLabClient, Part, Query, Reply
from wsdash.backend.providers.gitlab.api.errors import Forbidden, NotFound
from wsdash.backend.providers.gitlab.api.models import (
    AllowedProject,
    Branch,
    Commit,
    DebugTrace,
    Job,
    Lint,
    Listing,
    Package,
    Pipeline,
    Project,
    ProtectedBranch,
    Runner,
    Token,
    User,
    Variable,
    Version,
)

M = TypeVar("M", bound=BaseModel)

PER_PAGE = 100
MOST_PAGES = 50

_STUCK = """
query($project: ID!) {
  project(fullPath: $project) { jobs(statuses: [PENDING], first: 100) { nodes { stuck pipeline { id } } } }
}
"""


class GitLabApi:
    """Typed calls of one client. Errors are the client's; an answer of an unknown shape raises `Unreachable`."""

    def __init__(self, client: GitLabClient) -> None:
        self.client = client

    # The user, the instance and the project.

    async def user(self) -> User:
        """Return the user that the token belongs to."""
        return _of(User, await self.client.call("get", "/user", what="your user"), "your user")

    async def token(self) -> Token | None:
        """Return the token's scopes and expiry; None if GitLab does not return them (for example for a job token)."""
        try:
            reply = await self.client.call("get", "/personal_access_tokens/self", what="the token's scopes")
        except (NotFound, Forbidden):
            return None
        return _of(Token, reply, "the token's scopes")

    async def version(self) -> Version:
        """Return the instance's version."""
        return (await self.version_and_skew())[0]

    async def version_and_skew(self) -> tuple[Version, float]:
        """Return the version, and the seconds to add to GitLab's clock to get ours."""
        reply = await self.client.call("get", "/version", what="its version")
        return _of(Version, reply, "its version"), reply.skew

    async def project(self, path: str | int) -> Project:
        """Return a project by its full path or id. Raises `NotFound`."""
        what = f"the project {path}"
        return _of(Project, await self.client.call("get", _project(path), what=what), what)

    async def own_projects(self, limit: int = 20) -> list[Project]:
        """Return projects where the user is at least Developer, the most recently active first."""
        query = {"min_access_level": 30, "per_page": limit, "order_by": "last_activity_at", "archived": False}
        what = "your projects"
        return _list(Project, await self.client.call("get", "/projects", query=query, what=what), what)

    async def runners(self, project: int) -> list[Runner] | None:
        """Return the project's runners; None if the user may not see them (Maintainers may)."""
        what = "the project's runners"
        try:
            return await self._pages(Runner, f"/projects/{project}/runners", {}, what)
        except Forbidden:
            return None

    async def runner(self, runner: int) -> Runner:
        """Return a runner with its tags and what it takes."""
        what = "a runner"
        return _of(Runner, await self.client.call("get", f"/runners/{runner}", what=what), what)

    async def protected_branches(self, project: int) -> list[ProtectedBranch] | None:
        """Return the protected branches and patterns; None if the user may not see them."""
        what = "the project's protected branches"
        try:
            return await self._pages(ProtectedBranch, f"/projects/{project}/protected_branches", {}, what)
        except (Forbidden, NotFound):
            return None

    async def job_token_allowlist(self, project: int) -> list[AllowedProject] | None:
        """Return projects whose jobs may access this one with their job token; None if the user may not see it."""
        what = "the job-token allowlist"
        try:
            path = f"/projects/{project}/job_token_scope/allowlist"
            return await self._pages(AllowedProject, path, {}, what)
        except (Forbidden, NotFound):
            return None

    async def variable(self, project: int, name: str) -> Variable:
        """Return a CI/CD variable of the project, without its value. Only Maintainers may see it."""
        what = f"the variable {name}"
        path = f"{_variables(project)}/{quote(name, safe='')}"
        return _of(Variable, await self.client.call("get", path, what=what), what)

    async def traces_commands(self, project: int) -> bool:
        """Return whether the project's variables have jobs log each command with its variables (`CI_DEBUG_TRACE`)."""
        what = "the variable CI_DEBUG_TRACE"
        path = f"{_variables(project)}/CI_DEBUG_TRACE"
        try:
            found = _of(DebugTrace, await self.client.call("get", path, what=what), what)
        except NotFound:
            return False
        return (found.value or "").lower() not in ("", "0", "false")

    async def variable_names(self, project: int) -> list[str]:
        """Return the names of all CI/CD variables of the project. Raises `Forbidden` for users below Maintainer."""
        what = "the project's variables"
        return [found.key for found in await self._pages(Variable, _variables(project), {}, what)]

    async def create_variable(self, project: int, name: str, value: str) -> None:
        """Create a masked variable for every branch, whose value is not expanded."""
        body: dict[str, object] = {
            "key": name,
            "value": value,
            "masked": True,
            "raw": True,
            "protected": False,
        }
        what = f"the variable {name}"
        await self.client.call("post", _variables(project), body=body, what=what)

    async def delete_variable(self, project: int, name: str) -> None:
        """Remove a variable, if it still exists."""
        path = f"{_variables(project)}/{quote(name, safe='')}"
        with suppress(NotFound):
            await self.client.call("delete", path, what=f"removing the variable {name}")

    # The package registry.

    async def packages(self, project: int, name: str) -> list[Package]:
        """Return the generic packages of exactly this name: GitLab's search also finds others."""
        query = {"package_type": "generic", "package_name": name}
        found = await self._pages(Package, f"/projects/{project}/packages", query, "the project's packages")
        return [package for package in found if package.name == name]

    async def delete_package(self, project: int, package: int) -> None:
        """Remove a package, if it still exists. Raises `Forbidden` for users below Maintainer."""
        with suppress(NotFound):
            path = f"/projects/{project}/packages/{package}"
            await self.client.call("delete", path, what=f"removing the package {package}")

    # The repository.

    async def file_exists(self, project: int, path: str, ref: str) -> bool:
        """Whether the repository has this file at the ref."""
        file = f"/projects/{project}/repository/files/{quote(path, safe='')}"
        try:
            await self.client.call("head", file, query={"ref": ref}, what=f"the file {path}")
        except NotFound:
            return False
        return True

    async def commit(
        self,
        project: int,
        *,
        branch: str,
        message: str,
        files: Mapping[str, str],
        action: str,
        start_branch: str | None = None,
    ) -> Commit:
        """Create one commit; with `start_branch`, also the branch, which must not exist yet."""
        body: dict[str, object] = {
            "branch": branch,
            "commit_message": message,
            "actions": [
                {"action": action, "file_path": path, "content": text} for path, text in files.items()
            ],
        }
        if start_branch is not None:
            body["start_branch"] = start_branch
        what = f"a commit on the branch {branch}"
        path = f"/projects/{project}/repository/commits"
        return _of(Commit, await self.client.call("post", path, body=body, what=what), what)

    async def branches(self, project: int, prefix: str) -> list[Branch]:
        """Return all branches whose names begin with the prefix."""
        what = f"the branches {prefix}*"
        return await self._pages(
            Branch, f"/projects/{project}/repository/branches", {"search": f"^{prefix}"}, what
        )

    async def branch(self, project: int, name: str) -> Branch:
        """Return one branch. Raises `NotFound`."""
        what = f"the branch {name}"
        return _of(Branch, await self.client.call("get", _branch(project, name), what=what), what)

    async def delete_branch(self, project: int, name: str) -> bool:
        """Remove a branch. Return False if there was none."""
        try:
            await self.client.call("delete", _branch(project, name), what=f"removing the branch {name}")
        except NotFound:
            return False
        return True

    # Pipelines and jobs.

    async def create_pipeline(
        self, project: int, ref: str, inputs: Mapping[str, str], variables: Mapping[str, str] | None = None
    ) -> Pipeline:
        """Start a pipeline for the ref, with inputs and variables."""
        body: dict[str, object] = {"ref": ref}
        if variables:
            body["variables"] = [{"key": name, "value": value} for name, value in variables.items()]
        if inputs:
            body["inputs"] = dict(inputs)
        what = f"a pipeline for {ref}"
        reply = await self.client.call("post", f"/projects/{project}/pipeline", body=body, what=what)
        return _of(Pipeline, reply, what)

    async def pipelines(
        self,
        project: int,
        *,
        ref: str | None = None,
        username: str | None = None,
        updated_after: str | None = None,
        page: int = 1,
        urgent: bool = True,
    ) -> Listing[Pipeline]:
        """Return one page of pipelines that were started by the API: at most a hundred, newest first."""
        query: dict[str, object] = {"source": "api", "per_page": PER_PAGE, "page": page}
        more = {"ref": ref, "username": username, "updated_after": updated_after}
        query.update({name: value for name, value in more.items() if value is not None})
        what = "the pipelines of the workspaces"
        path = f"/projects/{project}/pipelines"
        reply = await self.client.call("get", path, query=query, what=what, urgent=urgent)
        items = _list(Pipeline, reply, what)
        is_whole = len(items) < PER_PAGE and not reply.headers.get("x-next-page")
        return Listing(items=items, at=reply.at, skew=reply.skew, is_whole=is_whole)

    async def own_pipelines(self) -> Listing[Pipeline]:
        """Return the newest hundred pipelines that this user started by the API, in all projects (GitLab 19.3)."""
        query: dict[str, object] = {"source": "api", "per_page": PER_PAGE}
        what = "your pipelines in all projects"
        reply = await self.client.call("get", "/pipelines", query=query, what=what, urgent=False)
        items = _list(Pipeline, reply, what)
        return Listing(items=items, at=reply.at, skew=reply.skew, is_whole=len(items) < PER_PAGE)

    async def jobs(self, project: int, pipeline: int, *, urgent: bool = False) -> list[Job]:
        """Return the jobs of a pipeline, newest first, without retried ones."""
        what = f"the jobs of pipeline {pipeline}"
        path = f"/projects/{project}/pipelines/{pipeline}/jobs"
        return _list(Job, await self.client.call("get", path, what=what, urgent=urgent), what)

    async def cancel_job(self, project: int, job: int, *, force: bool = False) -> Job:
        """Ask GitLab to end a job. The answer is the same for a job that has ended already."""
        what = f"{'forcing' if force else 'ending'} job {job}"
        query = {"force": "true"} if force else None
        path = f"/projects/{project}/jobs/{job}/cancel"
        return _of(Job, await self.client.call("post", path, query=query, what=what), what)

    async def cancel_pipeline(self, project: int, pipeline: int) -> Pipeline:
        """Cancel all jobs of a pipeline."""
        what = f"ending pipeline {pipeline}"
        path = f"/projects/{project}/pipelines/{pipeline}/cancel"
        return _of(Pipeline, await self.client.call("post", path, what=what), what)

    async def delete_pipeline(self, project: int, pipeline: int) -> None:
        """Remove a pipeline with its jobs and logs; only an Owner may."""
        what = f"removing pipeline {pipeline}"
        await self.client.call("delete", f"/projects/{project}/pipelines/{pipeline}", what=what)

    async def trace(self, project: int, job: int, offset: int, limit: int) -> Part:
        """Return bytes of a job's log. GitLab always sends the whole log, which is skipped up to `offset`."""
        path = f"/projects/{project}/jobs/{job}/trace"
        return await self.client.read_part(path, offset, limit, what=f"the log of job {job}")

    async def stuck_pipelines(self, project_path: str) -> frozenset[int]:
        """Return pipelines with a pending job that no runner can take, which only GraphQL reports (`CiJob.stuck`)."""
        what = "the jobs that no runner takes"
        data = await self.client.graphql(_STUCK, {"project": project_path}, what=what)
        try:
            stuck = [node["pipeline"]["id"] for node in data["project"]["jobs"]["nodes"] if node["stuck"]]
            return frozenset(int(global_id.rpartition("/")[2]) for global_id in stuck)
        except (TypeError, KeyError, ValueError):
            raise Unreachable(f"GitLab's answer to {what} has an unknown shape", "") from None

    async def lint(self, project: int, content: str) -> Lint:
        """Return GitLab's own verdict on a configuration, without running it."""
        what = "a check of the configuration"
        path = f"/projects/{project}/ci/lint"
        return _of(Lint, await self.client.call("post", path, body={"content": content}, what=what), what)

    async def _pages(self, model: type[M], path: str, query: Query, what: str) -> list[M]:
        found: list[M] = []
        for page in range(1, MOST_PAGES + 1):
            asked = {**query, "per_page": PER_PAGE, "page": page}
            reply = await self.client.call("get", path, query=asked, what=what)
            items = _list(model, reply, what)
            found += items
            if not items or not reply.headers.get("x-next-page"):
                break
        return found


def _project(path: str | int) -> str:
    return f"/projects/{quote(str(path), safe='')}"


def _variables(project: int) -> str:
    return f"/projects/{project}/variables"


def _branch(project: int, name: str) -> str:
    return f"/projects/{project}/repository/branches/{quote(name, safe='')}"


def _of(model: type[M], reply: Reply, what: str) -> M:
    try:
        return model.model_validate(reply.data)
    except ValidationError:
        raise Unreachable(f"GitLab's answer to {what} has an unknown shape", "Check the address.") from None


def _list(model: type[M], reply: Reply, what: str) -> list[M]:
    if not isinstance(reply.data, list):
        raise Unreachable(f"GitLab's answer to {what} has an unknown shape", "Check the address.")
    try:
        return _adapter(model).validate_python(reply.data)
    except ValidationError:
        raise Unreachable(f"GitLab's answer to {what} has an unknown shape", "Check the address.") from None


@cache
def _adapter(model: type[M]) -> TypeAdapter[list[M]]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]
