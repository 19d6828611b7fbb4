"""What an update changes of a workspace: the job that it runs, and the one that its devfile makes now. Pure."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from wsdash.backend.job.render import render
from wsdash.backend.operations.create import Preview
from wsdash.workload import Workload


@dataclass(frozen=True, slots=True)
class Update:
    """`changes` are the lines of a unified diff of its job; none where nothing is new. Untrusted text."""

    workspace_id: str
    preview: Preview
    changes: tuple[str, ...]


def differences(present: Workload, wanted: Workload) -> tuple[str, ...]:
    """How the two jobs differ, as lines of a unified diff; none where they are the same."""
    if present == wanted:
        return ()
    before, after = (render(workload).splitlines() for workload in (present, wanted))
    lines = [
        *difflib.unified_diff(before, after, "what its job runs", "what its devfile says now", lineterm="")
    ]
    if present.image != wanted.image:
        lines += [f"-image {present.image or 'none'}", f"+image {wanted.image or 'none'}"]
    return tuple(lines) or ("@ what surrounds the job: ports, services, limits or the like @",)
