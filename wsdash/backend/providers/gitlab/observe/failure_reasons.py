"""GitLab's `failure_reason`s, each with its class and a remedy. Pure.

The names are those of `Enums::Ci::CommitStatus`, including older ones: GitLab 19.1 split some. The set is open: an
unknown name counts as a lost runner, and the job is tried again.
"""

from __future__ import annotations

from dataclasses import dataclass

from wsdash.model import Cause


@dataclass(frozen=True, slots=True)
class Reason:
    """The cause that a failure counts as, and a sentence with what happened and what to do."""

    cause: Cause
    text: str


_LOST_NAMES = (
    "runner_system_failure",
    "runner_interrupted",
    "no_updates_running",
    "no_updates_canceling",
    "stuck_or_timeout_failure",
    "api_failure",
    "scheduler_failure",
    "stale_schedule",
    "unknown_failure",
    "job_token_expired",
)
_LOST = "the runner was lost; a new job follows"
_SLOW_QUEUE = "no runner took the job in time; wsdash requests a new job"
_TIMEOUT = (
    "a time limit of the job's runner or project was reached before the job ended by itself: set timeout_s of the"
    " context to that limit (`wsdash context add --job-timeout`), or have the limit raised"
)
_NO_RUNNER = "no runner takes it: compare the context's tags with those of the project's runners"
_BY_CAUSE = {
    Cause.USER_CODE: {
        "script_failure": "a command of the job failed",
        "trace_size_exceeded": "its output grew beyond GitLab's limit for a log (100 MB unless an administrator changed"
        " it): have what runs in the workspace write less to its standard output; a new job follows",
    },
    Cause.IMAGE: {
        "runner_external_dependency_failure": "the image or another external file could not be fetched",
        "image_pull_failure": "the image could not be fetched: check its name and the runner's credentials",
    },
    Cause.RUNNER_LOST: dict.fromkeys(_LOST_NAMES, _LOST),
    Cause.TIMEOUT: dict.fromkeys(
        (
            "job_execution_timeout",
            "job_execution_server_timeout",
            "server_timeout_running",
            "server_timeout_canceling",
        ),
        _TIMEOUT,
    ),
    Cause.QUOTA: {
        "ci_quota_exceeded": "the CI minutes are used up: buy more, wait for the next month, or use your own runners",
    },
    Cause.NO_RUNNER: {
        "stuck_pending_no_matching_runners": _NO_RUNNER,
        "no_matching_runner": _NO_RUNNER,
        "runner_unsupported": "the runner is too old for this job: update it",
    },
    Cause.QUEUE: {
        "stuck_pending_with_matching_runners": _SLOW_QUEUE,
        "job_router_failure": _SLOW_QUEUE,
    },
    Cause.PERMISSION: {
        "user_blocked": "your user is blocked: ask an administrator",
        "project_deleted": "the project was deleted: choose another one for the context",
        "builds_disabled": "CI/CD is turned off in the project: Settings > General > Visibility",
        "ip_restriction_failure": "the group allows only certain addresses: ask its owner",
        "protected_environment_failure": "a protected environment blocks the job: ask a maintainer",
        "archived_failure": "the pipeline is too old to be run again; `wsdash restart` creates a new one",
        "pipeline_loop_detected": "the pipelines trigger each other in a loop",
    },
    Cause.CONFIGURATION: {
        "runner_configuration_error": "the runner refuses the job's image or settings: see the end of its log",
        "data_integrity_failure": "GitLab cannot use the job's data; `wsdash restart` creates a new pipeline",
        "missing_dependency_failure": "a dependency of the job is missing",
        "unmet_prerequisites": "GitLab could not prepare the job's prerequisites",
        "secrets_provider_not_found": "GitLab has no provider for the job's secrets",
        "id_token_burned_project_path": "the project's path cannot be used for id tokens",
        "environment_creation_failure": "GitLab could not create the environment",
        "deployment_rejected": "the deployment was rejected",
        "failed_outdated_deployment_job": "a newer deployment exists",
    },
}
REASONS = {name: Reason(cause, text) for cause, names in _BY_CAUSE.items() for name, text in names.items()}


def is_known(failure_reason: str | None) -> bool:
    """Whether `REASONS` has this failure reason."""
    return failure_reason in REASONS


def reason_of(failure_reason: str | None) -> Reason:
    """Return the class of a failure, also for unknown names."""
    known = REASONS.get(failure_reason or "")
    if known is not None:
        return known
    code = f" ({failure_reason})" if failure_reason else ""
    return Reason(Cause.RUNNER_LOST, f"GitLab gives no reason{code}; a new job follows")
