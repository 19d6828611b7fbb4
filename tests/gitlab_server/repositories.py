"""Bare Git repositories, changed the way GitLab's Commits API changes them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


class Conflict(Exception):
    """GitLab refuses the change; the text is its answer."""


@dataclass(frozen=True, slots=True)
class Commit:
    id: str
    message: str
    at: float


class Repository:
    """One bare repository at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.exists():
            folder.mkdir(parents=True)
            self._git("init", "--quiet", "--bare", "--initial-branch=main")
            self._git("config", "http.receivepack", "true")
            self._git("config", "uploadpack.allowAnySHA1InWant", "true")

    def branches(self) -> dict[str, Commit]:
        """By name, sorted, each with its last commit."""
        fields = "%(refname:lstrip=2)%00%(objectname)%00%(committerdate:unix)%00%(contents)%01"
        found = {}
        for record in self._git("for-each-ref", f"--format={fields}", "refs/heads").split("\x01"):
            name, _, rest = record.strip("\n").partition("\0")
            if rest:
                sha, at, message = rest.split("\0", 2)
                found[name] = Commit(sha, message, float(at))
        return found

    def head(self, branch: str) -> str | None:
        try:
            return self._git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}").strip()
        except subprocess.CalledProcessError:
            return None

    def read(self, ref: str, path: str) -> str | None:
        try:
            return self._git("cat-file", "blob", f"{ref}:{path}")
        except subprocess.CalledProcessError:
            return None

    def commit(
        self,
        branch: str,
        message: str,
        actions: Iterable[Mapping[str, str]],
        *,
        author: str,
        start_branch: str | None = None,
    ) -> Commit:
        """Raises Conflict, with GitLab's words."""
        parent = self.head(branch)
        if start_branch is not None:
            if parent is not None:
                raise Conflict(
                    f"A branch called '{branch}' already exists. Switch to that branch in order to make changes"
                )
            parent = self.head(start_branch)
            if parent is None:
                raise Conflict(f"You can only create or edit files when you are on a branch: {start_branch}")
        elif parent is None and self.branches():
            raise Conflict("You can only create or edit files when you are on a branch")
        index = self.folder / f"index.{os.getpid()}.{id(actions)}"
        env = {"GIT_INDEX_FILE": str(index)}
        try:
            if parent is not None:
                self._git("read-tree", parent, env=env)
            for action in actions:
                self._act(action, parent, env)
            tree = self._git("write-tree", env=env).strip()
        finally:
            index.unlink(missing_ok=True)
        who = {
            "GIT_AUTHOR_NAME": author,
            "GIT_AUTHOR_EMAIL": f"{author}@example.com",
            "GIT_COMMITTER_NAME": author,
            "GIT_COMMITTER_EMAIL": f"{author}@example.com",
        }
        parents = ["-p", parent] if parent is not None else []
        sha = self._git("commit-tree", tree, *parents, "-F", "-", data=message, env=who).strip()
        self._git("update-ref", f"refs/heads/{branch}", sha)
        return self.branches()[branch]

    def delete_branch(self, branch: str) -> None:
        self._git("update-ref", "-d", f"refs/heads/{branch}")

    def _act(self, action: Mapping[str, str], parent: str | None, env: Mapping[str, str]) -> None:
        path = action["file_path"]
        exists = parent is not None and self.read(parent, path) is not None
        match action["action"]:
            case "create" if exists:
                raise Conflict("A file with this name already exists")
            case "update" | "delete" if not exists:
                raise Conflict("A file with this name doesn't exist")
            case "create" | "update":
                blob = self._git("hash-object", "-w", "--stdin", data=action.get("content", "")).strip()
                self._git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=env)
            case "delete":
                self._git("update-index", "--force-remove", path, env=env)
            case other:
                raise Conflict(f"Unknown action '{other}'")

    def _git(self, *args: str, data: str | None = None, env: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            ["git", f"--git-dir={self.folder}", *args],
            input=None if data is None else data.encode("utf-8", "surrogateescape"),
            capture_output=True,
            check=True,
            env={**os.environ, **(env or {})},
        )
        return done.stdout.decode("utf-8", "surrogateescape")
