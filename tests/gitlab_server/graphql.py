"""The one GraphQL query that REST has no answer for: which pending jobs are stuck."""

from __future__ import annotations

import re
from typing import Any

from tests.gitlab_server.state import State, User

_QUERY = re.compile(
    r"query\(\$project: ID!\) \{ project\(fullPath: \$project\) \{"
    r" jobs\(statuses: \[PENDING\], first: 100\) \{ nodes \{ stuck pipeline \{ id \} \} \} \} \}"
)


def execute(state: State, user: User, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """The answer; GitLab tells errors in the body of an answer with status 200."""
    if _QUERY.fullmatch(" ".join(query.split())) is None:
        return {"errors": [{"message": "this server does not know the query"}]}
    project = state.project(str(variables.get("project")))
    if project is None or state.role(user, project) == 0:
        return {"data": {"project": None}}
    nodes = [
        {"stuck": state.is_stuck(job), "pipeline": {"id": f"gid://gitlab/Ci::Pipeline/{job.pipeline.id}"}}
        for job in state.jobs.values()
        if job.pipeline.project is project and job.status == "pending"
    ]
    return {"data": {"project": {"jobs": {"nodes": nodes[:100]}}}}
