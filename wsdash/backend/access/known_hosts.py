"""The keys of the workspaces' own SSH servers, as each job has left its key when it enrolled."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def alias_of(workspace_id: str) -> str:
    """The name by which the user's ssh knows a workspace, whatever its address."""
    return f"wsdash-{workspace_id}"


def pin(file: Path, workspace_id: str, key: str, name: str) -> None:
    """This key is the workspace's from now on, and the one before it no more. Blocks."""
    names = [alias_of(workspace_id), *([f"{name}.wsdash"] if name else [])]
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        lines = []
    kept = [line for line in lines if not set(line.split(" ")[0].split(",")) & set(names)]
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".")
    with os.fdopen(handle, "w", encoding="ascii") as new:
        new.write("\n".join([*kept, f"{','.join(names)} {key}", ""]))
    Path(name).replace(file)
