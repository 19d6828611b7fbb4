"""GitLab's JSON of things, and its errors."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.gitlab_server.clock import iso
from tests.gitlab_server.repositories import Commit
from tests.gitlab_server.state import MAINTAINER, Job, Pipeline, Project, Runner, User, Variable


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body

    @property
    def response(self) -> web.Response:
        return web.json_response(self.body, status=self.status)


def unauthorized() -> Refusal:
    return Refusal(401, {"message": "401 Unauthorized"})


def forbidden(text: str = "403 Forbidden") -> Refusal:
    return Refusal(403, {"message": text})


def not_found(what: str) -> Refusal:
    return Refusal(404, {"message": f"404 {what} Not Found"})


def invalid(text: str) -> Refusal:
    return Refusal(400, {"message": {"base": [text]}})


def bad_request(text: str) -> Refusal:
    return Refusal(400, {"message": text})


def user(found: User) -> dict[str, Any]:
    return {"id": found.id, "username": found.username, "name": found.username, "state": "active"}


def project(found: Project, role: int, base: str) -> dict[str, Any]:
    shown = {
        "id": found.id,
        "path_with_namespace": found.path,
        "name": found.path.rpartition("/")[2],
        "web_url": f"{base}/{found.path}",
        "http_url_to_repo": f"{base}/{found.path}.git",
        "default_branch": "main",
        "empty_repo": not found.repository.branches(),
        "archived": found.archived,
        "permissions": {"project_access": {"access_level": role}, "group_access": None},
        "builds_access_level": "enabled" if found.pipelines_enabled else "disabled",
        "jobs_enabled": found.pipelines_enabled,
        "shared_runners_enabled": True,
    }
    if role >= MAINTAINER:
        shown |= {
            "ci_config_path": found.ci_config_path,
            "build_timeout": int(found.build_timeout),
            "ci_separated_caches": found.separated_caches,
            "ci_restrict_pipeline_cancellation_role": "developer",
        }
    return shown


def commit(found: Commit) -> dict[str, Any]:
    title = found.message.split("\n", 1)[0]
    return {
        "id": found.id,
        "short_id": found.id[:8],
        "title": title,
        "message": found.message,
        "committed_date": iso(found.at),
    }


def pipeline(found: Pipeline, base: str) -> dict[str, Any]:
    return {
        "id": found.id,
        "iid": found.id,
        "project_id": found.project.id,
        "sha": found.sha,
        "ref": found.ref,
        "status": found.status,
        "source": found.source,
        "created_at": iso(found.created_at),
        "updated_at": iso(found.updated_at),
        "web_url": f"{base}/{found.project.path}/-/pipelines/{found.id}",
        "name": found.name,
    }


def runner(found: Runner) -> dict[str, Any]:
    """As in a list or a job (GitLab: lib/api/entities/ci/runner.rb): without its tags and what it takes."""
    return {
        "id": found.id,
        "description": found.description,
        "paused": found.paused,
        "is_shared": found.project is None,
        "runner_type": "instance_type" if found.project is None else "project_type",
        "online": found.contacted_at is not None,
        "status": "online" if found.contacted_at is not None else "never_contacted",
    }


def runner_details(found: Runner) -> dict[str, Any]:
    """As GET /runners/:id tells it (GitLab: lib/api/entities/ci/runner_details.rb)."""
    more = {"tag_list": found.tags, "run_untagged": found.run_untagged, "access_level": found.access_level}
    return {**runner(found), **more, "locked": found.locked, "maximum_timeout": found.maximum_timeout}


def variable(key: str, found: Variable) -> dict[str, Any]:
    about = {"key": key, "value": found.value, "masked": found.masked, "protected": found.protected}
    return {**about, "variable_type": "env_var", "raw": found.raw, "environment_scope": "*"}


def job(found: Job, base: str) -> dict[str, Any]:
    shown = {
        "id": found.id,
        "status": found.status,
        "stage": found.config.get("stage", "test"),
        "name": found.name,
        "ref": found.pipeline.ref,
        "created_at": iso(found.created_at),
        "started_at": iso(found.started_at),
        "finished_at": iso(found.finished_at),
        "queued_duration": None,
        "user": user(found.pipeline.user),
        "pipeline": pipeline(found.pipeline, base),
        "web_url": f"{base}/{found.pipeline.project.path}/-/jobs/{found.id}",
        "runner": None if found.runner is None else runner(found.runner),
        "tag_list": found.config.get("tags", []),
    }
    if found.status == "failed":
        shown["failure_reason"] = found.failure_reason or "unknown_failure"
    return shown
