"""Writes a workspace's configuration to its branch, with as few requests as possible."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from wsdash.backend.providers.errors import Unreachable
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import Rejected
from wsdash.backend.providers.gitlab.api.project import CurrentProject
from wsdash.backend.providers.gitlab.ci.pipeline_name import branch_of
from wsdash.backend.system.files import atomic

TRIES = 4
_SHA = re.compile(r"[0-9a-f]{40,64}", re.ASCII)


class BranchWriter:
    """Remembers which branches exist and which configuration they have, as far as this process knows.

    The last commit written to each branch is stored in a file below `folder`, for the next process: any other commit at
    the head of the branch was pushed by another user.
    """

    def __init__(self, api: GitLabApi, project: CurrentProject, folder: Path) -> None:
        self._api = api
        self._project = project
        self._folder = folder
        self._digests: dict[str, str] = {}
        self._written: dict[str, str | None] = {}
        self._distrusted: set[str] = set()

    def record_digest(self, workspace_id: str, digest: str, sha: str | None) -> None:
        """Record that a pipeline of this user ran this configuration at this commit.

        The branch has the configuration if that commit is the last one written, by this process or a previous one.
        """
        if sha is not None and self._commit(workspace_id) == sha and workspace_id not in self._distrusted:
            self._digests[workspace_id] = digest

    def is_there(self, workspace_id: str) -> None:
        """Record that the branch exists and is not empty."""
        self._digests.setdefault(workspace_id, "")

    def is_foreign(self, workspace_id: str, sha: str | None) -> bool:
        """Whether a commit is known not to be ours."""
        return sha is not None and sha != (self._commit(workspace_id) or sha)

    def holds(self, workspace_id: str, digest: str) -> bool:
        """Whether the branch is known to have this configuration, as we wrote it."""
        return self._digests.get(workspace_id) == digest and self._commit(workspace_id) is not None

    def may_hold(self, workspace_id: str) -> bool:
        """Whether the branch is known to exist with a configuration of ours."""
        return bool(self._digests.get(workspace_id)) and self._commit(workspace_id) is not None

    def distrust(self, workspace_id: str) -> None:
        """Record that the branch was changed by others: the configuration is to be rewritten."""
        self._digests.pop(workspace_id, None)
        self._distrusted.add(workspace_id)

    def forget(self, workspace_id: str) -> None:
        """Record that the branch is deleted."""
        self._digests.pop(workspace_id, None)
        self._distrusted.discard(workspace_id)
        self._written[workspace_id] = None
        with suppress(OSError):
            self._file(workspace_id).unlink(missing_ok=True)

    def _commit(self, workspace_id: str) -> str | None:
        """Return the last commit that we wrote. Reads a file, once."""
        if workspace_id not in self._written:
            found = ""
            with suppress(OSError, UnicodeDecodeError):
                found = self._file(workspace_id).read_text(encoding="ascii").strip()
            self._written[workspace_id] = found if _SHA.fullmatch(found) else None
        return self._written[workspace_id]

    def _keep(self, workspace_id: str, sha: str) -> None:
        """Store the last commit that we wrote. Blocks. If that fails, the next process rewrites the branch."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            atomic.write(self._file(workspace_id), f"{sha}\n".encode("ascii"))

    def _file(self, workspace_id: str) -> Path:
        return self._folder / workspace_id

    async def write(self, workspace_id: str, text: str, digest: str, message: str) -> None:
        """Commit the configuration.

        Whether the branch and the file exist is guessed from what is known; GitLab's refusal of a wrong guess says
        what is true ("Commits API": an action `create` or `update`, and `start_branch`).
        """
        project = await self._project.info()
        branch = branch_of(workspace_id)
        is_there = workspace_id in self._digests
        has_file = is_there or project.has_config
        for _ in range(TRIES):
            try:
                commit = await self._api.commit(
                    project.id,
                    branch=branch,
                    message=message,
                    files={project.config_path: text},
                    action="update" if has_file else "create",
                    start_branch=None if is_there else project.default_branch,
                )
            except Rejected as refusal:
                reason = refusal.reason.lower()
                if "branch called" in reason and "already exists" in reason:
                    is_there = has_file = True
                elif "file with this name already exists" in reason:
                    has_file = True
                elif "file with this name doesn't exist" in reason:
                    has_file = False
                elif "when you are on a branch" in reason and is_there:
                    is_there, has_file = False, project.has_config
                else:
                    raise
                continue
            self._written[workspace_id] = commit.id
            self._distrusted.discard(workspace_id)
            await asyncio.to_thread(self._keep, workspace_id, commit.id)
            self.record_digest(workspace_id, digest, commit.id)
            if not is_there:
                self._project.update(replace(project, has_config=has_file))
            return
        raise Unreachable(
            f"the branch {branch} changes while wsdash writes it", "wsdash retries automatically."
        )
