"""GitLab's answers, with the fields that wsdash reads. Fields that a version does not have are None.

The names are those of GitLab's REST API ("Pipelines", "Jobs", "Projects", "Branches").
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

T = TypeVar("T")


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


def _instant(value: object) -> object:
    """Parse a time, which GitLab writes in ISO 8601."""
    return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else value


Instant = Annotated[float, BeforeValidator(_instant)]


class User(_Reply):
    """GET /user."""

    id: int
    username: str


class Token(_Reply):
    """GET /personal_access_tokens/self."""

    scopes: list[str] = []
    expires_at: str | None = None
    active: bool = True


class Version(_Reply):
    """GET /version. `parts` are comparable: (18, 1) for `18.1.0-ee`."""

    version: str

    @property
    def parts(self) -> tuple[int, int]:
        """The major and minor version as numbers; 0 for a part that is not a number."""
        numbers = self.version.split("-")[0].split(".")
        major, minor = ([*numbers, "0", "0"])[:2]
        return (int(major) if major.isdecimal() else 0, int(minor) if minor.isdecimal() else 0)


class Access(_Reply):
    """A role, by its number, in a project or a group."""

    access_level: int = 0


class Permissions(_Reply):
    """The user's roles in a project, directly and by its group."""

    project_access: Access | None = None
    group_access: Access | None = None

    @property
    def level(self) -> int:
        """The role as GitLab counts it: 30 is Developer, 40 Maintainer, 50 Owner."""
        return max(
            access.access_level for access in (self.project_access, self.group_access, Access()) if access
        )


class Project(_Reply):
    """GET /projects/:id. Some fields are shown to maintainers only."""

    id: int
    path_with_namespace: str
    web_url: str = ""
    http_url_to_repo: str = ""
    default_branch: str | None = None
    archived: bool = False
    empty_repo: bool = False
    permissions: Permissions | None = None
    builds_access_level: str | None = None
    jobs_enabled: bool | None = None
    ci_config_path: str | None = None
    build_timeout: int | None = None
    shared_runners_enabled: bool | None = None
    ci_separated_caches: bool | None = None
    ci_restrict_pipeline_cancellation_role: str | None = None
    ci_id_token_sub_claim_components: list[str] | None = None


class Pipeline(_Reply):
    """An item of GET /projects/:id/pipelines, which carries the name since GitLab 16.6."""

    id: int
    project_id: int | None = None
    status: str
    ref: str | None = None
    sha: str | None = None
    source: str | None = None
    name: str | None = None
    web_url: str | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None


class Runner(_Reply):
    """A runner as described in a job, in the list of a project's runners, or by GET /runners/:id.

    Only the last one, which a maintainer may see, has the fields from `tag_list` on; they are None otherwise.
    """

    id: int
    description: str | None = None
    paused: bool = False
    is_shared: bool = False
    online: bool | None = None
    status: str | None = None
    tag_list: list[str] | None = None
    run_untagged: bool | None = None
    access_level: str | None = None


class JobPipeline(_Reply):
    """The pipeline of a job."""

    id: int


class Job(_Reply):
    """GET /projects/:id/jobs/:job_id. `failure_reason` exists only if the status is `failed`."""

    id: int
    status: str
    name: str = ""
    ref: str | None = None
    created_at: Instant | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    queued_duration: float | None = None
    failure_reason: str | None = None
    web_url: str | None = None
    runner: Runner | None = None
    pipeline: JobPipeline | None = None


class Commit(_Reply):
    """The last commit of a branch."""

    id: str
    message: str = ""
    committed_date: Instant | None = None


class Branch(_Reply):
    """An item of GET /projects/:id/repository/branches, with the whole message of its last commit."""

    name: str
    commit: Commit


class ProtectedBranch(_Reply):
    """An item of GET /projects/:id/protected_branches; the name may be a pattern."""

    name: str


class AllowedProject(_Reply):
    """A project in the job token's allowlist."""

    id: int


class Package(_Reply):
    """GET /projects/:id/packages."""

    id: int
    name: str
    version: str = ""


class Variable(_Reply):
    """GET /projects/:id/variables/:key, without its value."""

    key: str
    masked: bool = False
    protected: bool = False


class DebugTrace(_Reply):
    """GET /projects/:id/variables/CI_DEBUG_TRACE, the one variable whose value is no secret."""

    value: str | None = None


class Lint(_Reply):
    """POST /projects/:id/ci/lint."""

    valid: bool
    errors: list[str] = []
    warnings: list[str] = []


class Listing(BaseModel, Generic[T]):
    """Items of a list, newest first; `at` and `skew` as in a client's `Reply`. `is_whole`: the list is complete."""

    model_config = ConfigDict(frozen=True)

    items: list[T]
    at: float
    skew: float
    is_whole: bool
