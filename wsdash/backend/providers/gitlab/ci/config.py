"""The `.gitlab-ci.yml` of a workspace: a workload as one CI job. Pure.

The job writes `wsdash/backend/job`'s scripts and the workload's data below its project directory and runs
them there, since nothing else survives into the cache. Keywords are those of GitLab's "CI/CD YAML syntax
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
"""Of each workspace its own, for a shell runner's next job finds what the one before has left."""
CACHED = "cache"
"""Of a workspace's folder, the one that the cache holds: an archive of its state, and no file that a job works with."""
LARGEST = 128 * 1024
"""Bytes of one NAME=VALUE: with more, `execve` fails and no process of the job starts."""

INTERPOLATION = "$[["
"""Where a configuration takes inputs, GitLab puts their values in place of this, in any text."""

_VARIABLES = {
    "attempt": "WSDASH_ATTEMPT",
    "restores": "WSDASH_RESTORE_FROM",
    "checkpoint": "WSDASH_CHECKPOINT",
    "owner": "WSDASH_OWNER",
}
"""By the name of the input."""
_BY_INPUT = {name: f"$[[ inputs.{name} ]]" for name in _VARIABLES}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RUNNERS = re.compile(
    r"(CI|GIT|GITLAB|RUNNER|FF|CACHE|DOCKER|KUBERNETES|ARTIFACT|TRANSFER|SECURE|WSDASH)(_.*)?|PATH|HOME|PWD|SHELL|BASH.*|ENV|IFS"
)

Restores = str
"""What a job is to find: "no"; "import", files that are sent to it; "yes", what an earlier one saved, whose number is
not known; or the number of the state that was saved last."""


class NotRenderable(ValueError):
    """The workload cannot be a CI job: what stands in the way, and what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose job it is, and what differs from one attempt to the next."""

    workspace_id: str
    name: str
    attempt_key: str
    restores: Restores = "no"
    checkpoint: str = NO_CHECKPOINT
    """The newest one that is kept here, which the job gets where its cache is older."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the context says of jobs. Durations in seconds; `injector_image` holds the editor's server."""

    tags: tuple[str, ...] = ()
    image: str | None = None
    timeout_s: float = 3600.0
    beat_s: float = 30.0
    checkpoint_s: float = 60.0
    injector_image: str | None = None
    remote_checkpoints: bool = True
    """Whether checkpoints may go into the project itself, where no tunnel takes them."""
    idle: Mapping[str, str] = field(default_factory=dict)
    """What tells a job when it is idle (`rendering.idle_settings`)."""
    owner: str = "-"
    """Which store keeps the workspace alive: the name of every pipeline says so."""
    relay: RelayAddress | None = None
    """The relay that the job connects to, for the tunnel by which the user enters."""
    id_tokens: bool = True
    """Whether the job proves to it who it is by an id token; else by a secret that its pipeline is given."""
    volume: Volume | None = None
    """Where the workspace's files are, which the cache then has nothing of."""
    encrypt_cache: bool = False
    """Whether the cache gets one encrypted file alone."""
    credentials: tuple[str, ...] = ()
    """Addresses of hosts for which this machine has credentials, so that Git waits for them."""
    record: str = ""
    """What else is committed with the configuration: a change of it is a change of the configuration."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The text of the file, and the digest by which a pipeline's name says which one it ran."""

    text: str
    digest: str
    inputs: Mapping[str, str]
    """Those of the attempt's pipeline; none where the text holds their values."""

    @property
    def takes_inputs(self) -> bool:
        """Whether pipelines of later attempts can run the same text."""
        return bool(self.inputs)


ONE_TIME_SECRET = "WSDASH_ONE_TIME_SECRET"
"""The variable of a pipeline by which its job proves who it is, where there are no id tokens."""


def render(
    workload: Workload, identity: Identity, options: Options, *, may_take_inputs: bool = False
) -> Configuration:
    """The workload as a configuration: one document, or a header and a body where it takes inputs.

    Without `may_take_inputs`, and where GitLab would replace a text of the workload (`INTERPOLATION`), the values are
    part of it. Raises NotRenderable for what no job can be given, ValueError for too short a timeout.
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
        raise NotRenderable(f"a text of the workload cannot be written as YAML: {error}") from error
    about = f"# The workspace {_plain(identity.name)}: written by wsdash, and rewritten when it changes.\n"
    if not takes_inputs:
        return Configuration(about + body, digest, {})
    return Configuration(f"{about}{_header(options)}---\n{body}", digest, values)


def _header(options: Options) -> str:
    inputs = {
        "attempt": {"description": "Which attempt of the workspace this is"},
        "restores": {
            "description": "The state that an earlier attempt saved last; yes, no, or import where files are sent",
            "default": "no",
        },
        "checkpoint": {
            "description": "The checkpoint that waits on the user's machine",
            "default": NO_CHECKPOINT,
        },
        # GitLab itself refuses a pipeline of the previous owner.
        "owner": {"description": "Which state store keeps it alive", "options": [options.owner]},
    }
    return yaml_of({"spec": {"inputs": inputs}})


def _document(
    job: dict[str, Any], workspace_id: str, values: Mapping[str, str], digest: str
) -> dict[str, Any]:
    """The whole of it, with an attempt's values in the places that `_job` has left for them."""
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
            # All who may read the project could read them.
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
    """The keyword `image`; `usual` is used where the workload names none, and the runner's own where neither does."""
    image = workload.image or usual
    # An entrypoint of the image would be given the runner's shell as its arguments.
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
    """Both executors' own keys, "image:docker:user" and "image:kubernetes:user"; the latter takes numbers only."""
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
        # A runner that ends the job signals every process of it; this shell must wait for the others.
        f'trap : TERM\n{_alone()}\nrm -rf "{HOME}/run" && mkdir -p "{HOME}/run/job"',
        *(_file(name, text) for name, text in scripts.items()),
        f'sh "{HOME}/run/job/gitlab.sh" start 9>&-',
    ]


def _alone() -> str:
    """Commands that run before any file is touched: the folder's lock stays open in the runner's shell."""
    document = _here_document("claim_folder.sh", program("claim_folder.sh"))
    return f'mkdir -p "{HOME}"\nexec 9>>"{HOME}/lock"\nsh -s "{HOME}" {document}'


def _file(name: str, text: str) -> str:
    """A command that writes the text, as it is, into a file of the job."""
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
    """Values as they are: GitLab expands no `$` in them. What the job itself must expand is left to job.sh."""
    fit = (v for v in env if _NAME.fullmatch(v.name) and not v.expands)
    return {v.name: {"value": v.value, "expand": False} for v in fit}


def _workload_variables(env: tuple[EnvVar, ...]) -> dict[str, Any]:
    """The workload's environment, less what would change the runner itself; job.sh sets all of it exactly."""
    return _exact(tuple(v for v in env if not _RUNNERS.fullmatch(v.name)))


def _kubernetes(resources: Resources) -> dict[str, str]:
    """What a Kubernetes runner may be asked for ("Overwrite container resources"); others ignore it."""
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
                f"the variable {variable.name} takes {size} bytes, and no job starts with more than {LARGEST}"
                " in one. Put the value into a file of the repository."
            )


def _plain(text: str) -> str:
    return re.sub(r"[^\w .-]", "?", text)[:64]
