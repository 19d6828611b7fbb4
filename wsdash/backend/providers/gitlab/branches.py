"""Writes a workspace's configuration to the branch of its own, in as few requests as can be."""

from __future__ import annotations

from dataclasses import replace

from wsdash.backend.providers.base import Unreachable
from wsdash.backend.providers.gitlab.api import GitLabApi
from wsdash.backend.providers.gitlab.errors import Rejected
from wsdash.backend.providers.gitlab.heartbeat import branch_of
from wsdash.backend.providers.gitlab.place import Place

TRIES = 4


class BranchWriter:
    """Knows which branches are there and what they hold, as far as this process has learned it."""

    def __init__(self, api: GitLabApi) -> None:
        self._api = api
        self._digests: dict[str, str] = {}
        self._commits: dict[str, str] = {}
        self._written: dict[str, str] = {}

    def learn(self, workspace_id: str, digest: str, sha: str | None) -> None:
        """A pipeline of this user ran this configuration of this commit, so the branch holds it or a newer one:
        the one that was written here, where one was.
        """
        if self._written.get(workspace_id, sha) != sha:
            return
        self._digests[workspace_id] = digest
        if sha is not None:
            self._commits[workspace_id] = sha

    def is_foreign(self, workspace_id: str, sha: str | None) -> bool:
        """Whether a pipeline ran another commit than ours: whoever may push could have changed the branch."""
        return sha is not None and sha != self._commits.get(workspace_id, sha)

    def holds(self, workspace_id: str, digest: str) -> bool:
        """Whether the branch is known to hold this configuration."""
        return self._digests.get(workspace_id) == digest

    def forget(self, workspace_id: str) -> None:
        """Nothing is known of the branch any more."""
        self._digests.pop(workspace_id, None)
        self._commits.pop(workspace_id, None)
        self._written.pop(workspace_id, None)

    async def write(self, place: Place, workspace_id: str, text: str, digest: str, message: str) -> Place:
        """Commit the configuration; the place, with what was learned of it.

        Whether the branch and the file are there is guessed from what is known, and GitLab's refusal of a
        wrong guess says what is so ("Commits API": an action `create` or `update`, and `start_branch`).
        """
        branch = branch_of(workspace_id)
        is_there = workspace_id in self._digests
        has_file = is_there or place.has_config
        for _ in range(TRIES):
            try:
                commit = await self._api.commit(
                    place.project_id,
                    branch=branch,
                    message=message,
                    files={place.config_path: text},
                    action="update" if has_file else "create",
                    start_branch=None if is_there else place.default_branch,
                )
            except Rejected as refusal:
                said = refusal.said.lower()
                if "branch called" in said and "already exists" in said:
                    is_there = has_file = True
                elif "file with this name already exists" in said:
                    has_file = True
                elif "file with this name doesn't exist" in said:
                    has_file = False
                elif "when you are on a branch" in said and is_there:
                    is_there, has_file = False, place.has_config
                else:
                    raise
                continue
            self._written[workspace_id] = commit.id
            self.learn(workspace_id, digest, commit.id)
            return place if is_there else replace(place, has_config=has_file)
        raise Unreachable(f"the branch {branch} changes while it is written", "Asking again.")
