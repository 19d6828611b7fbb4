"""Isolates a job from the machine: command lines for each kind of isolation. Pure.

In every kind but `plain` a job sees the same paths: the project below `/projects`, its scripts in
`/wsdash`. Only the workspace's own folders are writable to it, each mounted separately: a job that could
replace them by symbolic links could redirect the next fetch, which runs outside.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from wsdash.backend.providers.local.supervisor.marks import VARIABLE
from wsdash.workload import Volume, Workload

Kind = Literal["podman", "docker", "bubblewrap", "plain"]
KINDS: tuple[Kind, ...] = ("podman", "docker", "bubblewrap", "plain")
"""The kinds of isolation, best first."""

Entry = Literal["enter", "listening", "shells"]
"""The entries of job.sh that run next to a job: a shell or command, its listening ports, or its open sessions."""

PROJECTS = "/projects"
VOLUMES = "/volumes"
"""The folder of all volumes in an inspection."""
SCRIPTS = "/wsdash"
CONTAINER_HOME = "/home/workspace"
INFO_FD = 9

_PROXIES = frozenset({"http_proxy", "https_proxy", "no_proxy", "all_proxy"})
_PASSED_ON = _PROXIES | {name.upper() for name in _PROXIES} | {"PATH", "LANG", "LANGUAGE", "TZ", "USER"}
_PASSED_ON |= {"LOGNAME", "SHELL", "SSL_CERT_FILE", "SSL_CERT_DIR"}


@dataclass(frozen=True, slots=True)
class Isolation:
    """A kind of isolation that works here.

    `program` is its executable; `user` the options that make a container's files belong to the user;
    `limits` says whether it supports CPU and memory limits; `init` whether containers get an init process.
    """

    kind: Kind
    program: str = ""
    user: tuple[str, ...] = ()
    limits: bool = False
    init: bool = False

    @property
    def is_container(self) -> bool:
        """Whether jobs run in a container of podman or docker."""
        return self.kind in ("podman", "docker")


@dataclass(frozen=True, slots=True)
class Host:
    """Facts about the machine that bubblewrap needs.

    `top` are the names in `/`, each with the target of a symbolic link or None; `resolver` is the folder
    below `/run` that contains the machine's resolv.conf, if it is there.
    """

    top: tuple[tuple[str, str | None], ...]
    home: str
    resolver: str | None = None


@dataclass(frozen=True, slots=True)
class JobPaths:
    """The paths of one job's files on this machine. `state` is the provider's root, which jobs may not see."""

    attempt_id: str
    workspace: Path
    scripts: Path
    state: Path
    name: str = "workspace"

    @property
    def job(self) -> Path:
        """The folder of the job's scripts."""
        return self.scripts.parent

    @property
    def projects(self) -> Path:
        """The workspace's folder of projects."""
        return self.workspace / "projects"

    @property
    def home(self) -> Path:
        """The workspace's home folder."""
        return self.workspace / "home"

    @property
    def tmp(self) -> Path:
        """The workspace's temporary folder."""
        return self.workspace / "tmp"

    @property
    def volumes(self) -> Path:
        """The folder of the workspace's volumes."""
        return self.workspace / "volumes"

    def volume(self, volume: Volume) -> Path:
        """The folder of one volume."""
        return self.volumes / volume.name


def container_name(attempt_id: str) -> str:
    """Return the container's name for an attempt."""
    return f"wsdash-{attempt_id}"


def job_environment(
    isolation: Isolation, job_paths: JobPaths, host_home: str, environ: Mapping[str, str]
) -> dict[str, str]:
    """Return the job's environment before the workload's own: none of the user's secrets are passed on."""
    given: dict[str, str] = {}
    if not isolation.is_container:
        given = {k: v for k, v in environ.items() if k in _PASSED_ON or k.startswith("LC_")}
    plain = isolation.kind == "plain"
    home = {"plain": str(job_paths.home), "bubblewrap": host_home}.get(isolation.kind, CONTAINER_HOME)
    return given | {
        "HOME": home,
        "PROJECTS_ROOT": str(job_paths.projects) if plain else PROJECTS,
        "TMPDIR": str(job_paths.tmp) if plain else "/tmp",
        "WSDASH_ATTEMPT": job_paths.attempt_id,
        VARIABLE: str(job_paths.job),
        "WSDASH_WORKSPACE": job_paths.name,
    }


def run_argv(
    isolation: Isolation, job_paths: JobPaths, host: Host, workload: Workload, env: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the command that runs the job's `run` entry. `env` is the job's environment."""
    if isolation.kind == "plain":
        return ("sh", str(job_paths.scripts / "job.sh"), "run", str(job_paths.scripts / "workload.sh"))
    inside = (f"{SCRIPTS}/job.sh", "run", f"{SCRIPTS}/workload.sh")
    if isolation.kind == "bubblewrap":
        return (*bubblewrap_argv(isolation.program, job_paths, host, workload.volumes), "--", "sh", *inside)
    return (*container_argv(isolation, job_paths, workload, env), *inside)


def unmountable(
    isolation: Isolation, host: Host, volumes: tuple[Volume, ...], folders: frozenset[str]
) -> dict[str, str]:
    """Return volumes that cannot be mounted at their path, with the reason. `folders` are the existing paths."""
    if isolation.is_container:
        return {}
    if isolation.kind == "plain":
        return {v.name: "mounting needs a container or bubblewrap" for v in volumes}
    found: dict[str, str] = {}
    top = {name for name, _ in host.top}
    for volume in volumes:
        parts = PurePosixPath(volume.path).parts
        makeable = (
            volume.path in folders or len(parts) < 2 or parts[1] not in top or _is_fresh(volume.path, host)
        )
        if not makeable:
            found[volume.name] = f"{volume.path} does not exist on this machine, and a job may not create it"
    return found


def bubblewrap_argv(
    program: str, job_paths: JobPaths, host: Host, volumes: tuple[Volume, ...]
) -> tuple[str, ...]:
    """Return the bwrap command around a job: the machine read-only, the workspace's folders writable."""
    argv = [program, *_machine(job_paths, host), "--hostname", job_paths.name[:64], "--info-fd", str(INFO_FD)]
    argv += ["--bind", str(job_paths.tmp), "/tmp"]
    if any(name == "var" for name, _ in host.top):
        argv += ["--bind", str(job_paths.tmp), "/var/tmp"]
    argv += ["--bind", str(job_paths.home), host.home, "--bind", str(job_paths.projects), PROJECTS]
    argv += ["--ro-bind", str(job_paths.scripts), SCRIPTS]
    for volume in volumes:
        argv += ["--bind", str(job_paths.volume(volume)), volume.path]
    return tuple(argv)


def inspect_argv(
    isolation: Isolation,
    job_paths: JobPaths,
    host: Host,
    image: str | None,
    env: Mapping[str, str],
    scratch: Path,
    command: tuple[str, ...],
) -> tuple[str, ...] | None:
    """Return a command that sees the workspace's folders read-only, without network, and can only write to `scratch`.

    In `plain` it is the command itself; None for a container without an image. `env` is its environment.
    """
    if isolation.kind == "plain":
        return command
    if isolation.kind == "bubblewrap":
        argv = [
            isolation.program,
            *_machine(job_paths, host),
            "--unshare-net",
            "--bind",
            str(scratch),
            "/tmp",
        ]
        argv += ["--dir", host.home, "--ro-bind-try", str(job_paths.home), host.home]
        argv += ["--ro-bind-try", str(job_paths.volumes), VOLUMES]
        return (*argv, "--ro-bind-try", str(job_paths.projects), PROJECTS, "--", *command)
    if image is None:
        return None
    options = [word for name, value in env.items() for word in ("--env", f"{name}={value}")]
    options += ["--rm", "--interactive", "--network", "none", "--pull", "never"]
    options += [*isolation.user, *_unlabelled(isolation)]
    for folder, target in (
        (job_paths.projects, PROJECTS),
        (job_paths.home, CONTAINER_HOME),
        (job_paths.volumes, VOLUMES),
    ):
        options += _bind(folder, target, "readonly") if folder.is_dir() else []
    return (isolation.program, "run", *options, "--entrypoint", command[0], image, *command[1:])


def _machine(job_paths: JobPaths, host: Host) -> list[str]:
    """Return the options for the machine read-only, with all home folders hidden, and a private /run.

    The root is a new one with the machine's folders mounted in it, so that `/projects` can be created.
    """
    argv = ["--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL"]
    hidden = _hidden(host)
    for name, target in host.top:
        if name in hidden:
            continue
        argv += (
            ["--symlink", target, f"/{name}"] if target is not None else ["--ro-bind", f"/{name}", f"/{name}"]
        )
    argv += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run"]
    if host.resolver is not None:
        argv += ["--ro-bind", host.resolver, host.resolver]
    if not _is_fresh(str(job_paths.state), host):
        argv += ["--tmpfs", str(job_paths.state)]
    return argv


def container_argv(
    isolation: Isolation, job_paths: JobPaths, workload: Workload, env: Mapping[str, str]
) -> tuple[str, ...]:
    """Return podman or docker run, up to the image. Both take the same options here.

    The container stays until `remove_argv`: podman's Docker API reports exit 0 for one that removes itself.
    """
    argv = [isolation.program, "run", "--name", container_name(job_paths.attempt_id)]
    argv += ["--label", f"wsdash.attempt={job_paths.attempt_id}", "--workdir", "/", *isolation.user]
    argv += ["--init"] if isolation.init else []
    argv += _unlabelled(isolation)
    for name, value in env.items():
        argv += ["--env", f"{name}={value}"]
    argv += (
        _bind(job_paths.projects, PROJECTS)
        + _bind(job_paths.home, CONTAINER_HOME)
        + _bind(job_paths.tmp, "/tmp")
    )
    argv += _bind(job_paths.scripts, SCRIPTS, "readonly")
    for volume in workload.volumes:
        argv += _bind(job_paths.volume(volume), volume.path)
    limits = workload.resources
    if isolation.limits and limits.cpu_limit:
        argv += ["--cpus", f"{limits.cpu_limit:g}"]
    if isolation.limits and limits.memory_limit:
        argv += ["--memory", str(limits.memory_limit)]
    assert workload.image is not None
    return (*argv, "--pull", "never", "--entrypoint", "sh", workload.image)


def pull_argv(isolation: Isolation, image: str) -> tuple[str, ...]:
    """Return the command that pulls the image unless it exists."""
    line = '"$1" image inspect -- "$2" >/dev/null 2>&1 || exec "$1" pull -- "$2"'
    return ("sh", "-c", line, "sh", isolation.program, image)


def oom_argv(isolation: Isolation, attempt_id: str) -> tuple[str, ...]:
    """Return the command that prints `true` if the kernel ended the attempt's container for lack of memory."""
    return (isolation.program, "inspect", "--format", "{{.State.OOMKilled}}", container_name(attempt_id))


def remove_argv(isolation: Isolation, attempt_id: str) -> tuple[str, ...]:
    """Return the command that ends the attempt's container, if there is one."""
    return (isolation.program, "rm", "--force", container_name(attempt_id))


def enter_argv(
    isolation: Isolation,
    job_paths: JobPaths,
    entry: Entry,
    argv: tuple[str, ...],
    *,
    terminal: bool,
    env: Mapping[str, str],
) -> tuple[str, ...]:
    """Return the command, inside the job's sandbox or container, for an entry of job.sh; with the engine's for
    containers.
    """
    if isolation.kind == "plain":
        return ("sh", str(job_paths.scripts / "job.sh"), entry, str(job_paths.scripts / "workload.sh"), *argv)
    inside = ("sh", f"{SCRIPTS}/job.sh", entry, f"{SCRIPTS}/workload.sh", *argv)
    if isolation.kind == "bubblewrap":
        return inside
    options = [word for name, value in env.items() for word in ("--env", f"{name}={value}")]
    options += ["--interactive"] + (["--tty"] if terminal else [])
    return (isolation.program, "exec", *options, container_name(job_paths.attempt_id), *inside)


def _bind(source: Path, target: str, *options: str) -> list[str]:
    # --mount instead of -v, because a colon in a path would end it there. A comma or a quote is quoted as in CSV.
    fields = ["type=bind", f"source={source}", f"target={target}", *options]
    return ["--mount", ",".join(_csv(field) for field in fields)]


def _unlabelled(isolation: Isolation) -> list[str]:
    # With SELinux podman would have to relabel the user's files, permanently.
    return ["--security-opt", "label=disable"] if isolation.kind == "podman" else []


def _csv(field: str) -> str:
    return '"' + field.replace('"', '""') + '"' if any(c in field for c in ',"\n') else field


def _hidden(host: Host) -> frozenset[str]:
    names = {"dev", "proc", "run", "tmp", "home", "root", "lost+found", PurePosixPath(host.home).parts[1]}
    return frozenset(names - _KEPT)


_KEPT = frozenset({"bin", "etc", "lib", "lib32", "lib64", "nix", "opt", "sbin", "srv", "sys", "usr", "var"})
"""Never hidden, even if the user's home is there, as for service accounts."""


def _is_fresh(path: str, host: Host) -> bool:
    """Whether the sandbox has a folder of its own at the start of this path, so that mount points can be created."""
    parts = PurePosixPath(os.path.normpath(path)).parts
    return len(parts) > 1 and (parts[1] in _hidden(host) or PurePosixPath(path).is_relative_to(host.home))


def purge_argv(isolation: Isolation, folder: Path, image: str) -> tuple[str, ...]:
    """Return the command that empties a folder as the container's root, whose files the user may not remove."""
    root = [] if "--userns=keep-id" in isolation.user else ["--user", "0:0"]
    options = ["--rm", "--network", "none", "--pull", "never", *root, *_bind(folder, "/purge")]
    return (
        isolation.program,
        "run",
        *options,
        "--entrypoint",
        "sh",
        image,
        "-c",
        "rm -rf /purge/* /purge/.[!.]*",
    )
