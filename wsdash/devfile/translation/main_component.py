"""Chooses the container that is the workspace.

GitLab's marker `gl/inject-editor` decides, else the only container, else the first one with the sources (GitLab
workspaces, "Devfile"; devfile section on mountSources). A guess is reported as a diagnostic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import Finding, KeyPath
from wsdash.devfile.schema.document import Document
from wsdash.devfile.schema.elements import containers
from wsdash.devfile.schema.models import Component, Container

INJECT_EDITOR = "gl/inject-editor"


@dataclass(frozen=True, slots=True)
class LocatedContainer:
    """A container component, and the path of its container."""

    path: KeyPath
    component: Component
    container: Container


def init_containers(document: Document) -> frozenset[str]:
    """Return components that preStart or postStop commands start once: they are not additional containers.

    Source: devfile/library, pkg/devfile/generator/generators.go GetInitContainers.
    """
    commands = {command.id: command for command in document.devfile.commands}
    found: set[str] = set()
    seen: set[str] = set()
    events = document.devfile.events
    names = [*events.pre_start, *events.post_stop] if events else []
    while names:
        name = names.pop().lower()
        command = commands.get(name)
        if command is None or name in seen:
            continue
        seen.add(name)
        if command.apply:
            found.add(command.apply.component)
        elif command.composite:
            names += command.composite.commands
    return frozenset(found)


def choose_main(
    document: Document, wanted: str | None
) -> tuple[LocatedContainer | None, tuple[LocatedContainer, ...], list[Finding]]:
    """Return the main container, the additional ones, and findings about the choice."""
    init = init_containers(document)
    every = [LocatedContainer(*found) for found in containers(document)]
    candidates = [placed for placed in every if placed.component.name not in init] or every
    findings: list[Finding] = []
    main = _choose(candidates, wanted, findings)
    others = tuple(p for p in candidates if main and p.component.name != main.component.name)
    return main, others, findings


def _choose(
    candidates: list[LocatedContainer], wanted: str | None, findings: list[Finding]
) -> LocatedContainer | None:
    if not candidates:
        message = "no component has a container in which the workspace could run"
        findings.append(
            Finding("main.missing", ("components",), message, "add a component with a container and an image")
        )
        return None
    if wanted is not None:
        if named := next((p for p in candidates if p.component.name == wanted), None):
            return named
        message = f"the main component {show(wanted)} is not a container of this devfile"
        findings.append(Finding("main.unknown", ("components",), message, _choice(candidates)))
    marked = [p for p in candidates if p.component.attributes.get(INJECT_EDITOR)]
    if marked:
        findings += _guess(marked, f"{len(marked)} components have the attribute {INJECT_EDITOR}")
        return marked[0]
    with_sources = [p for p in candidates if p.container.mounts_sources] or candidates
    findings += _guess(with_sources, f"{len(with_sources)} containers could be the workspace")
    return with_sources[0]


def _guess(candidates: list[LocatedContainer], problem: str) -> Iterator[Finding]:
    if len(candidates) > 1:
        taken = candidates[0]
        message = f"{problem}; {show(taken.component.name)} is used because it is the first one"
        hint = f"{_choice(candidates)}, or mark one in the devfile with the attribute {INJECT_EDITOR}: true"
        yield Finding("main.ambiguous", taken.path[:-1], message, hint)


def _choice(candidates: list[LocatedContainer]) -> str:
    return "choose the main component: " + ", ".join(p.component.name for p in candidates[:20])
