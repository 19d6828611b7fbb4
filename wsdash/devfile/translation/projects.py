"""Translates projects to the source that the job clones."""

from __future__ import annotations

import re
from dataclasses import replace

from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import Finding, KeyPath
from wsdash.devfile.schema.document import Document
from wsdash.devfile.schema.models import Git, Project
from wsdash.devfile.translation.container import Report
from wsdash.workload import Source

_URL = re.compile(r"(?:https?|ssh|git)://[^\s\x00-\x20-]\S*|(?!-)[\w.-]+@[\w.-]+:(?!-)\S+")
"""Addresses that a devfile may name for cloning: no local paths, no options, none of Git's command transports."""


def source_of(document: Document, given: Source | None, report: Report) -> Source | None:
    """Return the given source, or the first project's; its folder is the first project's.

    `$PROJECT_SOURCE` is the first project's clonePath, else its name (devfile/library, generator/utils.go).
    """
    projects = document.devfile.projects
    _leftovers(document, report)
    if not projects:
        return given
    first = projects[0]
    folder = _folder(first, ("projects", 0), report)
    if given is None:
        return _cloned(first, ("projects", 0), folder, report)
    if first.git and _same(given.url, first.git):
        return replace(given, folder=folder)
    message = f"project {show(first.name)} is not cloned: the workspace has its own source in that folder"
    report(
        Finding(
            "ignored.project",
            ("projects", 0),
            message,
            "create the workspace without a source to clone the project",
        )
    )
    return replace(given, folder=folder)


def _folder(project: Project, path: KeyPath, report: Report) -> str:
    written = project.clone_path
    parts = written.split("/")
    if not written:
        return project.name
    if (
        written.startswith("/")
        or ".." in parts
        or "\0" in written
        or not any(p not in ("", ".") for p in parts)
    ):
        message = (
            f"the clonePath {show(written)} is outside the projects folder; {show(project.name)} is used"
        )
        report(
            Finding("project.clone-path", (*path, "clonePath"), message, "write a relative path without ..")
        )
        return project.name
    return "/".join(part for part in parts if part not in ("", "."))


def _cloned(project: Project, path: KeyPath, folder: str, report: Report) -> Source | None:
    git = project.git
    if git is None or not git.remotes:
        message = f"project {show(project.name)} is not fetched: only Git repositories are supported"
        report(
            Finding("ignored.project", path, message, "name a Git repository, or give the workspace a source")
        )
        return None
    name = _remote(git)
    url = git.remotes[name]
    if not _URL.fullmatch(url):
        message = (
            f"project {show(project.name)} is not cloned: {show(url)} is not an https, ssh or git address"
        )
        report(
            Finding(
                "project.url",
                (*path, "git", "remotes", name),
                message,
                "write, for example, https://HOST/PATH.git",
            )
        )
        return None
    others = [other for other in git.remotes if other != name]
    if others:
        message = f"only the remote {show(name)} is configured, not {', '.join(map(show, others[:8]))}"
        report(
            Finding(
                "ignored.checkout-remote",
                (*path, "git", "remotes"),
                message,
                "add the others in a postStart command",
            )
        )
    revision = git.checkout_from.revision if git.checkout_from else ""
    if revision.startswith("-") or "\0" in revision:
        report(
            Finding(
                "project.url",
                (*path, "git", "checkoutFrom", "revision"),
                f"{show(revision)} is not a revision",
            )
        )
        revision = ""
    return Source(url, revision or None, folder)


def _remote(git: Git) -> str:
    wanted = git.checkout_from.remote if git.checkout_from else ""
    if wanted in git.remotes:
        return wanted
    return "origin" if "origin" in git.remotes else next(iter(git.remotes))


def _same(url: str, git: Git) -> bool:
    def plain(text: str) -> str:
        without_user = re.sub(r"^(?:\w+://)?(?:[^@/]*@)?", "", text)
        return without_user.replace(":", "/", 1).rstrip("/").removesuffix(".git").lower()

    return any(plain(url) == plain(remote) for remote in git.remotes.values())


def _leftovers(document: Document, report: Report) -> None:
    devfile = document.devfile
    more: list[tuple[KeyPath, str]] = [(("projects", i), p.name) for i, p in enumerate(devfile.projects) if i]
    more += [(("dependentProjects", i), p.name) for i, p in enumerate(devfile.dependent_projects)]
    for path, name in more:
        message = f"project {show(name)} is not cloned: a workspace has one source"
        report(Finding("ignored.project", path, message, "clone it in a postStart command"))
    for index, starter in enumerate(devfile.starter_projects):
        message = f"the starter project {show(starter.name)} is not offered"
        report(
            Finding(
                "ignored.starter-project",
                ("starterProjects", index),
                message,
                "create a workspace from its repository",
            )
        )
