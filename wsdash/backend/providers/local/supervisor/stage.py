"""One entry of `spec.json`, the record by which a supervisor knows what to start."""

from __future__ import annotations

from typing import TypedDict


class Stage(TypedDict):
    """One process that the supervisor starts and waits for.

    `env` None is the supervisor's own environment, and `adds` is added to either. `causes` gives the
    cause of an exit code, `otherwise` that of all others. `step` names a step that the supervisor
    reports itself; `empties` are folders that are emptied before; `notes` are lines for the log. `oom_asked` is a
    command that says `true` where a container was ended for want of memory; empty where this machine's cgroup tells.
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
