"""One entry of `spec.json`, which tells a supervisor the processes to start."""

from __future__ import annotations

from typing import TypedDict


class Stage(TypedDict):
    """One process that the supervisor starts and waits for.

    `env` None means the supervisor's own environment; `adds` is added in both cases. `causes` has the
    cause of an exit code, `otherwise` that of all others. `step` names a step that the supervisor
    reports itself; `empties` are folders to empty before; `notes` are lines for the log. `oom_asked` is a command that
    prints `true` if a container ended for lack of memory; empty if this machine's cgroup counts that.
    """

    argv: list[str]
    env: dict[str, str] | None
    adds: dict[str, str]
    is_job: bool
    step: str | None
    causes: dict[str, str]
    otherwise: str
    info_fd: int | None
    empties: list[str]
    notes: list[str]
    oom_asked: list[str]
