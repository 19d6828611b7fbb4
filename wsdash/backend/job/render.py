"""Renders a workload into the file of shell data that `job.sh` sources.

The file holds only the workload, so that a person can read in it which commands will run. Every text from the
workload is quoted for POSIX sh: it reaches the command exactly as written.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath

from wsdash.backend.job.shell import bare, script
from wsdash.model import Policy
from wsdash.workload import Command, EnvVar, GitIdentity, Parallel, Secret, Step, Workload

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KNOWN_FOLDER = re.compile(
    r"\$(?:\{(PROJECT_SOURCE|PROJECTS_ROOT)\}|(PROJECT_SOURCE|PROJECTS_ROOT)(?![A-Za-z0-9_]))"
)
_ODD = re.compile(r"[^A-Za-z0-9_.:/@+ -]")
_LONGEST_ID = 64

OWN_NAMES = frozenset({"PROJECTS_ROOT", "PROJECT_SOURCE"}) | frozenset(
    {"BASHOPTS", "BASH_VERSINFO", "EUID", "LINENO", "OPTIND", "PPID", "SHELLOPTS", "UID"}
)
"""Variables that the job sets itself, or that end some shells when they are set."""

_HEAD = """\
# What the job of this workspace runs: data for job.sh, rendered from the devfile.
# run ID FOLDER LINE [NAME=VALUE...] runs LINE with sh -c; no FOLDER is the project's.
# once MARK run ...: only until it has succeeded once. await PID...: fails if one of them does.
"""


def render(workload: Workload) -> str:
    """Return the workload as a file for `job.sh`.

    Raises ValueError for a text with a NUL, which no process can have as an argument, or when the project's
    folder would lie outside the projects root.
    """
    source = workload.source
    blocks = [
        _HEAD,
        f"source_url={_quote(source.url if source else '')}",
        f"source_ref={_quote((source.ref or '') if source else '')}",
        f"project_folder={_quote(project_folder(workload))}",
        *_identity(workload.git_identity),
        *([f"home_files={_quote(chr(10).join(workload.home_files))}"] if workload.home_files else []),
        "",
        _function("notices", _notices(workload)),
        _function("secrets", [f"expect {_quote(secret.name)}" for secret in _expected(workload)]),
        _function("environment", [f"export {_assignment(v)}" for v in workload.env if _is_settable(v)]),
        _function("entrypoint", _entrypoint(workload.entrypoint)),
        _function("pre_start", _steps(workload.pre_start)),
        _function("post_start", _post_start(workload)),
        _function("pre_stop", _steps(workload.pre_stop)),
    ]
    return "\n".join(blocks)


def render_volumes(workload: Workload) -> str:
    """Return the volumes as a file of shell data, for a job whose provider does not mount them.

    `volume NAME PATH kept|fresh`, one a line. Raises ValueError as `render` does.
    """
    lines = ["# volume NAME PATH kept|fresh: mount a folder of the workspace at PATH."]
    for volume in workload.volumes:
        kind = "fresh" if volume.ephemeral else "kept"
        lines.append(f"volume {_quote(step_id(volume.name))} {_quote(volume.path)} {kind}")
    return "\n".join(lines) + "\n"


def render_secrets(values: Mapping[str, str]) -> str:
    """Return values of secrets by name as a file of shell data, for a job whose provider stores them itself.

    Raises ValueError for an invalid name, and as `render` does.
    """
    for name in values:
        if not _NAME.fullmatch(name) or name in OWN_NAMES:
            raise ValueError(f"{name!r} is not a valid name of a secret")
    return "".join(f"export {name}={_quote(value)}\n" for name, value in values.items())


def idle_settings(policy: Policy) -> dict[str, str]:
    """Return the variables by which a job decides that it is idle."""
    if policy.idle_minutes is None:
        return {}
    awake = {"WSDASH_KEEP_AWAKE": " ".join(policy.keep_awake)} if policy.keep_awake else {}
    return {"WSDASH_IDLE_CPU": str(max(1, round(policy.idle_cpu * 100))), **awake}


_CHECKPOINT = (
    *(
        "checkpoint.sh",
        "checkpoint_create.sh",
        "checkpoint_send.sh",
        "checkpoint_restore.sh",
        "checkpoint_others.sh",
    ),
    *("unsaved.sh", "unsaved_repositories.sh", "unsaved_remotes.sh", "unsaved_report.sh"),
    *("save_work.sh", "save_work_pack.sh", "save_work_prove.sh", "restore_work.sh", "terminal.sh"),
)
_JOB = (
    *("common.sh", "job.sh", "activity.sh", "steps.sh", "git_settings.sh"),
    *("fetch.sh", "ports.sh", "editor.sh", "customize_editor.sh"),
)


def checkpoint_scripts() -> dict[str, bytes]:
    """Return the scripts that create and restore checkpoints, to be placed in the same folder as the others."""
    return {name: bare(name).encode() for name in _CHECKPOINT}


def scripts() -> dict[str, bytes]:
    """Return the scripts of a job by file name, for one folder: `job.sh` and those that it sources."""
    return {name: script(name).encode() for name in _JOB}


def project_folder(workload: Workload) -> str:
    """Return the project's folder below the projects root, "" when there is no source. Raises ValueError."""
    if workload.source is None:
        return ""
    folder = PurePosixPath(workload.source.folder)
    if folder.is_absolute() or not folder.parts or ".." in folder.parts or "\n" in str(folder):
        raise ValueError(f"the project's folder {workload.source.folder!r} must lie below the projects root")
    return str(folder)


def step_id(command_id: str) -> str:
    """Return a command's id in the short, plain form that the protocol's lines need."""
    return _ODD.sub("?", command_id)[:_LONGEST_ID]


def _identity(identity: GitIdentity | None) -> list[str]:
    if identity is None:
        return []
    return [f"git_name={_quote(identity.name)}", f"git_email={_quote(identity.email)}"]


def _quote(text: str) -> str:
    if "\0" in text:
        raise ValueError(f"a text for the job contains a NUL character: {text!r}")
    return shlex.quote(text)


def _function(name: str, lines: list[str]) -> str:
    body = "\n".join(f"  {line}" for line in lines or [":"])
    return f"{name}() {{\n{body}\n}}\n"


def _is_settable(variable: EnvVar) -> bool:
    return bool(_NAME.fullmatch(variable.name)) and variable.name not in OWN_NAMES


def _expected(workload: Workload) -> list[Secret]:
    return [secret for secret in workload.secrets if _NAME.fullmatch(secret.name)]


def _assignment(variable: EnvVar) -> str:
    return f"{variable.name}={_expanded(variable.value, variable.expands)}"


def _notices(workload: Workload) -> list[str]:
    phases = (workload.pre_start, workload.post_start, workload.pre_stop)
    commands = [command for phase in phases for command in _commands(phase)]
    variables = [*workload.env, *(variable for command in commands for variable in command.env)]
    names = dict.fromkeys(variable.name for variable in variables if not _is_settable(variable))
    return [
        f"say {_quote(f'the variable {name!r} cannot be set in a shell and is left out')}" for name in names
    ]


def _commands(steps: tuple[Step, ...]) -> list[Command]:
    found: list[Command] = []
    for step in steps:
        found += [step] if isinstance(step, Command) else _commands(step.steps)
    return found


def _entrypoint(argv: tuple[str, ...]) -> list[str]:
    # The words are quoted twice: once for the line, once for this file.
    return [f"run entrypoint '' {_quote(' '.join(map(_quote, argv)))}"] if argv else []


def _post_start(workload: Workload) -> list[str]:
    steps = _steps(workload.post_start, workload.ready_after)
    return ["ready", *steps] if workload.ready_after == "" else steps


def _steps(steps: tuple[Step, ...], ready_after: str | None = None) -> list[str]:
    return [line for step in steps for line in _step(step, ready_after)]


def _step(step: Step, ready_after: str | None = None) -> list[str]:
    """Return lines of shell. The last command fails if the step fails, where the caller needs that."""
    ready = ["ready"] if step.id == ready_after else []
    if isinstance(step, Command):
        words = [
            "run",
            _quote(step_id(step.id)),
            _folder(step.working_dir),
            _expanded(step.line, step.expands),
        ]
        words += [f"{_assignment(variable)}" for variable in step.env if _is_settable(variable)]
        return [" ".join([*(["once", _mark(step)] if step.once else []), *words]), *ready]
    if isinstance(step, Parallel):
        inner = [lines for one in step.steps if (lines := _step(one))]
        blocks = [line for lines in inner for line in ("{", *_indented(lines), '} & pids="$pids $!"')]
        together = ["(", *_indented(["pids=", *blocks, "await $pids"]), ")"]
        return [*([f"# {step_id(step.id)}: at the same time", *together] if inner else []), *ready]
    if step.stop_on_failure:
        chain = [line for one in step.steps for line in _link(one, ready_after)]
        about = f"# {step_id(step.id)}: one after the other, until one fails"
        return [about, *chain, "true", *ready] if chain else ready
    inside = _steps(step.steps, ready_after)
    return [*([f"# {step_id(step.id)}: one after the other"] if inside else []), *inside, *ready]


def _link(step: Step, ready_after: str | None) -> list[str]:
    """Return one step of a chain that stops where a step fails."""
    lines = _step(step)
    block = ["{", *_indented(lines), "} &&"] if lines else []
    return [*block, *(["ready &&"] if step.id == ready_after else [])]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _mark(command: Command) -> str:
    """Return the name of the file that marks a command as done; a changed line under the same id has another
    name.
    """
    return hashlib.sha256(f"{command.id}\0{command.line}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _folder(working_dir: str | None) -> str:
    """Return a folder as a shell word in which only the two known variables are expanded."""
    return _word(working_dir, _KNOWN_FOLDER) if working_dir else "''"


def _expanded(text: str, names: tuple[str, ...]) -> str:
    """Return a shell word in which `${NAME}` is expanded for these names, and nothing else."""
    known = [name for name in names if _NAME.fullmatch(name)]
    return _word(text, re.compile(rf"\$\{{({'|'.join(known)})\}}")) if known else _quote(text)


def _word(text: str, variable: re.Pattern[str]) -> str:
    words: list[str] = []
    end = 0
    for match in variable.finditer(text):
        words += [_quote(text[end : match.start()])] if match.start() > end else []
        words.append(f'"${{{next(name for name in match.groups() if name)}-}}"')
        end = match.end()
    words += [_quote(text[end:])] if end < len(text) or not words else []
    return "".join(words)
