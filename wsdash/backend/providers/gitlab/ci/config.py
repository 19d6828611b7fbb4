"""The `.gitlab-ci.yml` of a workspace: a workload as one CI job. Pure.

The job writes `wsdash/backend/job`'s scripts and the workload's data below its project directory and runs
them there, because nothing else goes into the cache. Keywords are those of GitLab's "CI/CD YAML syntax
reference"; GitLab's own CI schema accepts the result.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from wsdash.backend.access.relay_address import RelayAddress
from wsdash.backend.job import render as job_render
from wsdash.backend.job.shell import bare, program, script
from wsdash.backend.providers.gitlab.ci.pipeline_name import BRANCH
from wsdash.backend.providers.gitlab.ci.record import Volume
from wsdash.backend.providers.gitlab.ci.timeouts import timeouts
from wsdash.backend.providers.gitlab.ci.yaml_writer import yaml_of
from wsdash.backend.store.checkpoint_files import NO_CHECKPOINT
from wsdash.workload import EnvVar, Resources, Service, Workload

JOB = "workspace"
HOME = "$CI_PROJECT_DIR/.wsdash/$WSDASH_WORKSPACE"
"""Each workspace has its own folder, because a shell runner's next job finds the files of the previous one."""
CACHED = "cache"
"""The folder, below a workspace's folder, that the cache stores: an archive of the state, and no file in use."""
LARGEST = 128 * 1024
"""Most bytes of one NAME=VALUE: with more, `execve` fails and no process of the job starts."""

INTERPOLATION = "$[["
"""GitLab replaces this in every text of a configuration that takes inputs."""

_VARIABLES = {
    "attempt": "WSDASH_ATTEMPT",
    "restores": "WSDASH_RESTORE_FROM",
    "checkpoint": "WSDASH_CHECKPOINT",
    "owner": "WSDASH_OWNER",
}
"""The declarations of the inputs, by name."""
_BY_INPUT = {name: f"$[[ inputs.{name} ]]" for name in _VARIABLES}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RUNNERS = re.compile(
    r"(CI|GIT|GITLAB|RUNNER|FF|CACHE|DOCKER|KUBERNETES|ARTIFACT|TRANSFER|SECURE|WSDASH)(_.*)?|PATH|HOME|PWD|SHELL|BASH.*|ENV|IFS"
)

Restores = str
"""The state that a job should find: "no"; "import", files that are sent to it; "yes", a state of an earlier job with
an unknown number; or the number of the state that was saved last."""


class NotRenderable(ValueError):
    """The workload cannot be a CI job. The message has the reason and a hint."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The workspace and attempt of a job, and other values that differ between attempts."""

    workspace_id: str
    name: str
    attempt_key: str
    restores: Restores = "no"
    checkpoint: str = NO_CHECKPOINT
    """The newest checkpoint on this machine, which is sent to a job whose cache is older."""


@dataclass(frozen=True, slots=True)
class Options:
    """The context's settings for jobs. Durations are in seconds; `injector_image` has the editor's server."""

    tags: tuple[str, ...] = ()
    image: str | None = None
    timeout_s: float = 3600.0
    beat_s: float = 30.0
    checkpoint_s: float = 60.0
    injector_image: str | None = None
    remote_checkpoints: bool = True
    """Whether checkpoints may be stored in the project itself when there is no tunnel."""
    idle: Mapping[str, str] = field(default_factory=dict)
    """The variables by which a job decides that it is idle (`rendering.idle_settings`)."""
    owner: str = "-"
    """The store that keeps the workspace alive; the name of every pipeline contains it."""
    relay: RelayAddress | None = None
    """The relay that the job connects to, for the tunnel by which the user enters."""
    id_tokens: bool = True
    """Whether the job authenticates to the relay with an id token; else with a secret of its pipeline."""
    volume: Volume | None = None
    """The volume with the workspace's files; None if the cache has them."""
    encrypt_cache: bool = False
    """Whether the cache contains only one encrypted file."""
    credentials: tuple[str, ...] = ()
    """Addresses of hosts for which this machine has credentials, so that Git in the job waits for them."""
    record: str = ""
    """Further data that is committed with the configuration; a change of it changes the configuration."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The text of the file, and its digest, which a pipeline's name contains."""

    text: str
    digest: str
    inputs: Mapping[str, str]
    """The inputs of the attempt's pipeline; none if the text contains their values."""

    @property
    def takes_inputs(self) -> bool:
        """Whether pipelines of later attempts can run the same text."""
        return bool(self.inputs)


ONE_TIME_SECRET = "WSDASH_ONE_TIME_SECRET"
"""The pipeline's variable with the secret by which its job authenticates when there are no id tokens."""


def render(
    workload: Workload, identity: Identity, options: Options, *, may_take_inputs: bool = False
) -> Configuration:
    """Render the workload as a configuration: one document, or a header and a body if it takes inputs.

    Without `may_take_inputs`, and if GitLab would replace a text of the workload (`INTERPOLATION`), the values are
    part of the text. Raises NotRenderable for an impossible workload, ValueError for too short a timeout.
    """
    _check(workload)
    try:
        commands = job_render.render(workload)
    except ValueError as error:
        raise NotRenderable(str(error)) from error
    job = _job(workload, identity.workspace_id, options, commands)
    takes_inputs = may_take_inputs and INTERPOLATION not in json.dumps(job, default=str)
    document = _document(job, identity.workspace_id, _BY_INPUT, "")
    stable = json.dumps([document, options.record], default=str, sort_keys=True)
    digest = hashlib.sha256(stable.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    values = {
        "attempt": identity.attempt_key,
        "restores": identity.restores,
        "checkpoint": identity.checkpoint,
        "owner": options.owner,
    }
    document = _document(job, identity.workspace_id, _BY_INPUT if takes_inputs else values, digest)
    try:
        body = yaml_of(document)
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise NotRenderable(f"the workload contains a text that YAML cannot represent: {error}") from error
    about = f"# The workspace {_plain(identity.name)}: written by wsdash, and rewritten when it changes.\n"
    if not takes_inputs:
        return Configuration(about + body, digest, {})
    return Configuration(f"{about}{_header(options)}---\n{body}", digest, values)


def _header(options: Options) -> str:
    inputs = {
        "attempt": {"description": "Which attempt of the workspace this is"},
        "restores": {
            "description": "The state to restore: its number, yes, no, or import for files that are sent",
            "default": "no",
        },
        "checkpoint": {
            "description": "The newest checkpoint on the user's machine",
            "default": NO_CHECKPOINT,
        },
        # GitLab itself refuses a pipeline of the previous owner.
        "owner": {"description": "The state store that keeps it alive", "options": [options.owner]},
    }
    return yaml_of({"spec": {"inputs": inputs}})


def _document(
    job: dict[str, Any], workspace_id: str, values: Mapping[str, str], digest: str
) -> dict[str, Any]:
    """Return the whole document, with an attempt's values in the places that `_job` leaves for them."""
    varying = {_VARIABLES[name]: value for name, value in values.items()} | {"WSDASH_CONFIG": digest}
    name = f"{BRANCH}{workspace_id} {values['attempt']} 0 queued 0 config={digest} owner={values['owner']}"
    return {
        "workflow": {
            "name": name,
            "auto_cancel": {"on_new_commit": "none"},
            "rules": [{"if": '$CI_PIPELINE_SOURCE == "api"'}],
        },
        "stages": [JOB],
        JOB: {**job, "variables": {**job["variables"], **varying}},
    }


def _job(workload: Workload, workspace_id: str, options: Options, commands: str) -> dict[str, Any]:
    limits = timeouts(options.timeout_s)
    job: dict[str, Any] = {"stage": JOB, "inherit": {"default": False, "variables": False}}
    job |= image_of(workload, options.image)
    services = [_service(service) for service in workload.services]
    if options.injector_image:
        services.append(
            {
                "name": options.injector_image,
                "entrypoint": ["/bin/sh", "-c"],
                "command": [bare("copy_editor.sh")],
            }
        )
    if services:
        job["services"] = services
    tags = options.volume.tags if options.volume is not None else options.tags
    if tags:
        job["tags"] = list(tags)
    if options.relay is not None and options.id_tokens:
        job["id_tokens"] = {"WSDASH_ID_TOKEN": {"aud": options.relay.audience}}
    job |= {
        "timeout": f"{limits.job} seconds",
        "interruptible": False,
        "retry": 0,
        "resource_group": f"wsdash-{workspace_id}",
        "variables": {
            "GIT_STRATEGY": "none",
            "CACHE_COMPRESSION_FORMAT": "tarzstd",
            "FF_USE_INIT_WITH_DOCKER_EXECUTOR": "true",
            "RUNNER_SCRIPT_TIMEOUT": f"{limits.script}s",
            "RUNNER_AFTER_SCRIPT_TIMEOUT": f"{limits.after_script}s",
            **_kubernetes(workload.resources),
            "WSDASH_WORKSPACE": workspace_id,
            "WSDASH_ATTEMPT": "",
            "WSDASH_RESTORE_FROM": "",
            "WSDASH_CONFIG": "",
            "WSDASH_OWNER": "",
            "WSDASH_BEAT_S": f"{options.beat_s:g}",
            "WSDASH_DEADLINE": str(limits.deadline),
            **options.idle,
            "WSDASH_EDITOR": "yes" if options.injector_image else "no",
            **_relay(options.relay),
            **({"WSDASH_CREDENTIALS": " ".join(options.credentials)} if options.credentials else {}),
            "WSDASH_CHECKPOINT": "",
            "WSDASH_CHECKPOINT_S": f"{options.checkpoint_s:g}",
            "WSDASH_REMOTE_CHECKPOINT_S": f"{5 * options.checkpoint_s:g}",
            "WSDASH_SAVE_S": str(limits.save),
            # All users who may read the project could read them.
            "WSDASH_REMOTE_CHECKPOINTS": "yes"
            if options.remote_checkpoints and not options.encrypt_cache
            else "no",
            "WSDASH_ENCRYPT_CACHE": "yes" if options.encrypt_cache else "no",
            "WSDASH_VOLUME": options.volume.path if options.volume is not None else "",
            **_workload_variables(workload.env),
        },
        "cache": [] if options.volume is not None else [_cache(workspace_id)],
        "script": _script(workload, options, commands),
        "after_script": [f'sh "{HOME}/run/job/gitlab.sh" after'],
    }
    return job


def image_of(workload: Workload, usual: str | None) -> dict[str, Any]:
    """Return the keyword `image`: the workload's, else `usual`, else none, so that the runner uses its own."""
    image = workload.image or usual
    # An entrypoint of the image would get the runner's shell as its arguments.
    return {"image": {"name": image, "entrypoint": [""]} | _user(workload.user)} if image else {}


def _cache(workspace_id: str) -> dict[str, Any]:
    return {
        "key": f"wsdash-{workspace_id}",
        "paths": [f".wsdash/{workspace_id}/{CACHED}/"],
        "when": "always",
        "policy": "pull-push",
        "unprotect": True,
    }


def _user(user: str | None) -> dict[str, Any]:
    """Return the keys of both executors, "image:docker:user" and "image:kubernetes:user"; the latter takes numbers
    only.
    """
    if not user:
        return {}
    is_number = re.fullmatch(r"\d+(:\d+)?", user) is not None
    return {"docker": {"user": user}} | ({"kubernetes": {"user": user}} if is_number else {})


def _relay(relay: RelayAddress | None) -> dict[str, str]:
    if relay is None:
        return {}
    return {
        "WSDASH_RELAY": f"{relay.host} {relay.port}",
        "WSDASH_RELAY_KEY": relay.host_key,
        "WSDASH_USER_KEY": relay.user_key,
    }


def _script(workload: Workload, options: Options, commands: str) -> list[str]:
    parts = job_render.scripts() | job_render.checkpoint_scripts()
    scripts = {name: data.decode() for name, data in parts.items()}
    tunnel_scripts = ("tunnel.sh", "credentials.sh") if options.relay is not None else ()
    encrypts = ("cache_encryption.sh", "receive_keys.sh") if options.encrypt_cache else ()
    for name in (
        "gitlab.sh",
        "gitlab_timeouts.sh",
        "gitlab_heartbeat.sh",
        "gitlab_leftover.sh",
        "gitlab_storage.sh",
        "claim_folder.sh",
        "gitlab_emit.sh",
        "gitlab_http.sh",
        *tunnel_scripts,
        *encrypts,
    ):
        scripts[name] = script(name)
    scripts["workload.sh"] = commands
    scripts["volumes.sh"] = job_render.render_volumes(workload)
    return [
        # A runner that ends the job signals all of its processes; this shell must wait for the others.
        f'trap : TERM\n{_alone()}\nrm -rf "{HOME}/run" && mkdir -p "{HOME}/run/job"',
        *(_file(name, text) for name, text in scripts.items()),
        f'sh "{HOME}/run/job/gitlab.sh" start 9>&-',
    ]


def _alone() -> str:
    """Return commands that run before any file is touched: the folder's lock stays open in the runner's shell."""
    document = _here_document("claim_folder.sh", program("claim_folder.sh"))
    return f'mkdir -p "{HOME}"\nexec 9>>"{HOME}/lock"\nsh -s "{HOME}" {document}'


def _file(name: str, text: str) -> str:
    """Return a command that writes the text unchanged into a file of the job."""
    return f'cat >"{HOME}/run/job/{name}" {_here_document(name, text)}'


def _here_document(name: str, text: str) -> str:
    end = f"end of {name}"
    while end in text:
        end += "."
    return f"<<'{end}'\n{text}{'' if text.endswith(chr(10)) else chr(10)}{end}"


def _service(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = {"name": service.image, "alias": service.name}
    if service.entrypoint:
        found["entrypoint"] = list(service.entrypoint)
    if service.command:
        found["command"] = list(service.command)
    variables = _exact(service.env)
    if service.health_port is not None:
        variables["HEALTHCHECK_TCP_PORT"] = str(service.health_port)
    if variables:
        found["variables"] = variables
    return found


def _exact(env: tuple[EnvVar, ...]) -> dict[str, Any]:
    """Return values for GitLab to use unchanged, without expanding `$`. Expansions by the job are left to job.sh."""
    fit = (v for v in env if _NAME.fullmatch(v.name) and not v.expands)
    return {v.name: {"value": v.value, "expand": False} for v in fit}


def _workload_variables(env: tuple[EnvVar, ...]) -> dict[str, Any]:
    """Return the workload's environment, without names that affect the runner itself; job.sh sets all of it exactly."""
    return _exact(tuple(v for v in env if not _RUNNERS.fullmatch(v.name)))


def _kubernetes(resources: Resources) -> dict[str, str]:
    """Return the requests to a Kubernetes runner ("Overwrite container resources"); others ignore them."""
    variables = {
        "KUBERNETES_CPU_LIMIT": resources.cpu_limit,
        "KUBERNETES_CPU_REQUEST": resources.cpu_request,
        "KUBERNETES_MEMORY_LIMIT": resources.memory_limit,
        "KUBERNETES_MEMORY_REQUEST": resources.memory_request,
    }
    return {name: f"{value:.15g}" for name, value in variables.items() if value is not None}


def _check(workload: Workload) -> None:
    for variable in (*workload.env, *(v for service in workload.services for v in service.env)):
        size = len(f"{variable.name}={variable.value}".encode("utf-8", "surrogatepass")) + 1
        if size > LARGEST:
            raise NotRenderable(
                f"the variable {variable.name} takes {size} bytes; the limit for"
                f" one variable is {LARGEST}. Put the value into a file of the repository."
            )


def _plain(text: str) -> str:
    return re.sub(r"[^\w .-]", "?", text)[:64]
