"""The workload of a job, independent of the provider.

A workload is created from a devfile (or the default one), and a provider turns it into a job.
Everything here is a frozen value; nothing does I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class EnvVar:
    """One environment variable. The value is passed exactly as written: `$` is not expanded.

    Exception: the job replaces `${NAME}` by the value of each variable named in `expands`.
    """

    name: str
    value: str
    expands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """One command line of the devfile, run by `sh -c` in the job.

    `working_dir` may hold `$PROJECT_SOURCE` or `$PROJECTS_ROOT`, which are known only inside the job; None is
    the project's folder. `env` is set for this command alone. A `once` command runs on each start until it
    succeeds, then never again while the workspace keeps its files. The job replaces `${NAME}` in `line` by the
    value of each variable named in `expands`.
    """

    id: str
    line: str
    working_dir: str | None = None
    env: tuple[EnvVar, ...] = ()
    label: str | None = None
    once: bool = False
    expands: tuple[str, ...] = ()
    kind: Literal["command"] = "command"


@dataclass(frozen=True, slots=True)
class Sequential:
    """Steps that run one after the other. After a failed step the rest is skipped only if the group says so."""

    id: str
    steps: tuple[Step, ...]
    stop_on_failure: bool = False
    kind: Literal["sequence"] = "sequence"


@dataclass(frozen=True, slots=True)
class Parallel:
    """Steps run at the same time; the group ends when all of them have ended."""

    id: str
    steps: tuple[Step, ...]
    kind: Literal["parallel"] = "parallel"


Step = Command | Sequential | Parallel


@dataclass(frozen=True, slots=True)
class Source:
    """The Git repository that the job clones: a URL or an absolute path, and a branch, tag or commit.

    `folder` is the project's folder below `$PROJECTS_ROOT` (a devfile's clonePath); `ref` None is the
    repository's default branch.
    """

    url: str
    ref: str | None = None
    folder: str = "project"


@dataclass(frozen=True, slots=True)
class Port:
    """A port that the workspace listens on. `exposure` is `public`, `internal` or `none` (devfile)."""

    name: str
    number: int
    protocol: str = "http"
    exposure: str = "public"
    path: str = ""
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Volume:
    """A folder kept across restarts, mounted at `path` in the job; an ephemeral one starts empty each time.

    `size` is in bytes and only a request: most runners cannot enforce it.
    """

    name: str
    path: str
    size: int | None = None
    ephemeral: bool = False


@dataclass(frozen=True, slots=True)
class Resources:
    """The job's resource request: CPU in cores, memory in bytes; None is the runner's default."""

    cpu_limit: float | None = None
    cpu_request: float | None = None
    memory_limit: int | None = None
    memory_request: int | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A container in addition to the job's own, reached by its name."""

    name: str
    image: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    health_port: int | None = None
    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True, slots=True)
class Secret:
    """A variable whose value is not in the workload: the provider stores it under this name.

    In a GitLab context it is a masked CI/CD variable of the project.
    """

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class GitIdentity:
    """Name and email address for commits, if the workspace's own Git configuration sets none."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Workload:
    """One workspace's job.

    `image` is the container image, None if the devfile names none. `entrypoint` runs in the background
    if the devfile says `overrideCommand: false`. The phases run in the order of design section 5: fetch
    source, preStart, editor, postStart, and preStop at the end. The workspace is ready when the step of
    postStart with the id `ready_after` has ended; before all of them if that is empty, and after all if it is
    None. `user` is the user in the container, as a name or a number, None for the image's own. `home_files` are
    paths below the home folder that a checkpoint includes in addition to the project.
    """

    image: str | None = None
    entrypoint: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    source: Source | None = None
    pre_start: tuple[Step, ...] = ()
    post_start: tuple[Step, ...] = ()
    ready_after: str | None = None
    pre_stop: tuple[Step, ...] = ()
    services: tuple[Service, ...] = ()
    ports: tuple[Port, ...] = ()
    volumes: tuple[Volume, ...] = ()
    resources: Resources = field(default_factory=Resources)
    user: str | None = None
    secrets: tuple[Secret, ...] = ()
    home_files: tuple[str, ...] = ()
    git_identity: GitIdentity | None = None


def names_a_user(image: str) -> bool:
    """Whether the reference of an image has an `@` that does not separate a name from its digest.

    The grammar of references (distribution, "reference/reference.go") has no user and no password: such a
    reference can never be pulled, and it may contain a secret.
    """
    return "@" in image and not re.fullmatch(r"[^@]*@[A-Za-z][A-Za-z0-9+._-]*:[0-9A-Fa-f]+", image)


NO_USER = (
    "an image's reference cannot contain a user or a password",
    "name only the image, and log in to its registry on the runner",
)
"""The message and the hint about an image for which `names_a_user` is true. They contain no part of it."""
