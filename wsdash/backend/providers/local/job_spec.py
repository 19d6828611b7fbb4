"""The stages of `spec.json`, which a supervisor runs for one attempt. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from wsdash.backend.job.protocol import EXIT_CONFIGURATION, EXIT_SOURCE_FAILED
from wsdash.backend.providers.local.sandbox import isolation as isolations
from wsdash.backend.providers.local.sandbox.isolation import Host, Isolation, JobPaths
from wsdash.backend.providers.local.supervisor.marks import VARIABLE
from wsdash.backend.providers.local.supervisor.stage import Stage
from wsdash.model import Attempt, Cause
from wsdash.workload import Workload


def spec(
    attempt: Attempt,
    workload: Workload,
    *,
    isolation: Isolation,
    job_paths: JobPaths,
    host: Host,
    env: Mapping[str, str],
    settings: Mapping[str, str],
    unmounted: Mapping[str, str],
    notes: tuple[str, ...],
    at: float,
) -> dict[str, object]:
    """Return the record `spec.json`.

    `env` is the job's environment, `settings` the variables of job.sh itself; `unmounted` volumes, with the
    reason, keep their folder but not their path.
    """
    mounted = tuple(volume for volume in workload.volumes if volume.name not in unmounted)
    lines = [*notes, *_volume_notes(workload, job_paths, unmounted), *_service_notes(workload)]
    mark = {"WSDASH_ATTEMPT": attempt.id, VARIABLE: str(job_paths.job)}
    fetch = _stage(
        ["sh", str(job_paths.scripts / "job.sh"), "fetch", str(job_paths.scripts / "workload.sh")],
        adds={**settings, **mark, "PROJECTS_ROOT": str(job_paths.projects)},
        causes={str(EXIT_CONFIGURATION): Cause.CONFIGURATION, str(EXIT_SOURCE_FAILED): Cause.SOURCE},
        otherwise=Cause.SOURCE,
    )
    stages = [fetch] if workload.source is not None else []
    full = {**env, **settings}
    shown = replace(workload, volumes=mounted)
    run = _stage(
        list(isolations.run_argv(isolation, job_paths, host, shown, full)),
        env=None if isolation.is_container else full,
        adds=mark,
        is_job=True,
        # The engine's own failure, a command that cannot be executed in the image, and a missing one.
        causes={"125": Cause.IMAGE, "126": Cause.IMAGE, "127": Cause.IMAGE} if isolation.is_container else {},
        otherwise=Cause.USER_CODE,
        info_fd=isolations.INFO_FD if isolation.kind == "bubblewrap" else None,
        empties=[str(job_paths.tmp), *(str(job_paths.volume(v)) for v in workload.volumes if v.ephemeral)],
        notes=lines,
        oom_asked=list(isolations.oom_argv(isolation, attempt.id)) if isolation.is_container else [],
    )
    cleanup: list[list[str]] = []
    if isolation.is_container and workload.image is not None:
        pull = list(isolations.pull_argv(isolation, workload.image))
        stages.append(_stage(pull, adds=mark, step="image", otherwise=Cause.IMAGE))
        cleanup = [list(isolations.remove_argv(isolation, attempt.id))]
    return {
        **owner(attempt),
        "created_at": at,
        "isolation": isolation.kind,
        "image": workload.image,
        "folder": str(job_paths.workspace),
        "stages": [*stages, run],
        "cleanup": cleanup,
        "measures": not isolation.is_container,
        "env": full,
    }


def owner(attempt: Attempt) -> dict[str, object]:
    """Return the job's owner: enough to adopt a job that the store does not know."""
    return {
        "attempt": attempt.id,
        "number": attempt.number,
        "generation": attempt.generation,
        "workspace": attempt.workspace_id,
    }


def _stage(
    argv: list[str],
    *,
    env: dict[str, str] | None = None,
    adds: dict[str, str],
    is_job: bool = False,
    step: str | None = None,
    causes: dict[str, str] | None = None,
    otherwise: str,
    info_fd: int | None = None,
    empties: list[str] | None = None,
    notes: list[str] | None = None,
    oom_asked: list[str] | None = None,
) -> Stage:
    return Stage(
        argv=argv,
        env=env,
        adds=adds,
        is_job=is_job,
        step=step,
        causes=causes or {},
        otherwise=otherwise,
        info_fd=info_fd,
        empties=empties or [],
        notes=notes or [],
        oom_asked=oom_asked or [],
    )


def _volume_notes(workload: Workload, job_paths: JobPaths, unmounted: Mapping[str, str]) -> list[str]:
    return [
        f"the volume {volume.name} is not mounted at {volume.path} ({unmounted[volume.name]}); "
        f"its folder is {job_paths.volume(volume)}."
        for volume in workload.volumes
        if volume.name in unmounted
    ]


def _service_notes(workload: Workload) -> list[str]:
    return [
        f"the component {service.name} ({service.image}) is not started: the local provider runs only one "
        "container for each workspace."
        for service in workload.services
    ]
