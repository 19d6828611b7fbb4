"""The local provider's names of files and folders below its root.

workspaces/ID/   projects/ home/ tmp/ volumes/NAME/    the workspace's folder, which is its volume
jobs/ATTEMPT/    spec.json     the stages that the supervisor runs, and their workspace
                 workspace.json  the workspace at its launch, to recover it if the store is lost
                 job/          the job's scripts, secrets, credentials and rendered workload, as at its launch
                 lock          held by the supervisor for its life
                                  supervisor.json, sandbox.json    the supervisor's process; the sandbox's first process
                 log, state.json, beat.json       the job's output, state and heartbeat
                 cancel.json   the request to end the job
                                  exit.json     how it ended; it is the last file written
                 secrets/ID       values of secrets as shell data; each job of the workspace gets a copy
                 credentials/ID   Git's credentials for hosts (git-credential-store); each job gets a copy, too
                 listeners/       a datagram socket for each process that watches for changes
                 drafts/ID/       a workspace being imported: files/ until it is complete (files/staging.py)
                 trash/           files being removed (files/remove.py)
"""

from __future__ import annotations

import re
from pathlib import Path

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def checked_id(identifier: str) -> str:
    """Return the id, which becomes a file name. Raises ValueError if it could name another path."""
    if not _ID.fullmatch(identifier):
        raise ValueError(
            f"{identifier!r} is not a valid id: letters, digits, '.', '_' and '-' only, at most 128"
        )
    return identifier


class JobFiles:
    """The files of one attempt's job."""

    __slots__ = (
        "beat", "cancel", "exit", "folder", "lock", "log", "sandbox", "scripts", "spec", "state", "supervisor",
        "workspace",
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec = folder / "spec.json"
        self.workspace = folder / "workspace.json"
        self.scripts = folder / "job"
        self.lock = folder / "lock"
        self.supervisor = folder / "supervisor.json"
        self.sandbox = folder / "sandbox.json"
        self.log = folder / "log"
        self.state = folder / "state.json"
        self.beat = folder / "beat.json"
        self.cancel = folder / "cancel.json"
        self.exit = folder / "exit.json"


class Layout:
    """The root of one local provider."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspaces = root / "workspaces"
        self.jobs = root / "jobs"
        self.secrets = root / "secrets"
        self.credentials = root / "credentials"
        self.listeners = root / "listeners"
        self.drafts = root / "drafts"
        self.trash = root / "trash"

    def workspace(self, workspace_id: str) -> Path:
        """Return the workspace's folder. Raises ValueError for an invalid id."""
        return self.workspaces / checked_id(workspace_id)

    def secrets_of(self, workspace_id: str) -> Path:
        """Return the file of the workspace's secrets. Raises ValueError for an invalid id."""
        return self.secrets / checked_id(workspace_id)

    def job(self, attempt_id: str) -> JobFiles:
        """Return the files of an attempt's job. Raises ValueError for an invalid id."""
        return JobFiles(self.jobs / checked_id(attempt_id))

    def make(self) -> None:
        """Create the folders, for the user only; a removed state folder is not created again. Raises OSError."""
        folders = (
            self.workspaces,
            self.jobs,
            self.secrets,
            self.credentials,
            self.listeners,
            self.drafts,
            self.trash,
        )
        for folder in (self.root.parent, self.root, *folders):
            folder.mkdir(mode=0o700, exist_ok=True)
