"""Rules about commands, events and projects: references among them. See `wsdash.devfile.validate.rules`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import Finding, KeyPath
from wsdash.devfile.schema.document import Document
from wsdash.devfile.schema.elements import is_unknown, names_known
from wsdash.devfile.schema.models import Command, Git
from wsdash.devfile.validate.cycles import cycles

Findings = Iterator[Finding]

EVENTS = {"preStart": "apply", "postStart": "exec", "preStop": "exec", "postStop": "apply"}
"""The kind of command that each event runs (EVT-1, EVT-2)."""


def command_targets(document: Document) -> Findings:
    """CMD-1, CMD-3: exec names a container, apply anything but a volume; both exactly as written."""
    kinds = {c.name: c.kind for c in document.devfile.components}
    for index, command in enumerate(document.devfile.commands):
        body = command.exec or command.apply
        if not body:
            continue
        path: KeyPath = ("commands", index, command.kind, "component")
        kind = kinds.get(body.component)
        if kind is None and is_unknown(document, body.component):
            message = (
                f"command {show(command.id)} names the component {show(body.component)}, which does not exist"
            )
            yield Finding("reference.missing", path, message, names_known("components", kinds))
        elif kind and (kind != "container" if command.exec else kind == "volume"):
            message = f"command {show(command.id)} cannot use {show(body.component)}, whose type is {kind}"
            yield Finding("reference.wrong-kind", path, message, "name a component with a container")


def composites(document: Document) -> Findings:
    """CMP-1, CMP-2: composites name existing commands and never contain themselves."""
    graph = {
        command.id: [part.lower() for part in (command.composite.commands if command.composite else ())]
        for command in document.devfile.commands
    }
    for index, command in enumerate(document.devfile.commands):
        for place, part in enumerate(command.composite.commands if command.composite else ()):
            if part.lower() not in graph and is_unknown(document, part):
                message = f"composite {show(command.id)} names the command {show(part)}, which does not exist"
                path: KeyPath = ("commands", index, "composite", "commands", place)
                yield Finding("reference.missing", path, message, names_known("commands", graph))
    looping = cycles(graph)
    for index, command in enumerate(document.devfile.commands):
        if command.composite and command.id in looping:
            message = f"composite {show(command.id)} runs itself, directly or through others"
            yield Finding(
                "reference.cycle", ("commands", index, "composite"), message, "remove one of the steps"
            )


def groups(document: Document) -> Findings:
    """GRP-1, GRP-2: of several commands of one kind, exactly one is the default."""
    members: dict[str, list[tuple[KeyPath, bool]]] = {}
    for index, command in enumerate(document.devfile.commands):
        if command.group:
            path: KeyPath = ("commands", index, command.kind, "group")
            members.setdefault(command.group.kind, []).append((path, command.group.is_default))
    for kind, found in members.items():
        defaults = [path for path, default in found if default]
        if len(found) > 1 and not defaults:
            message = f"{len(found)} commands are of kind {kind}, but none is the default"
            yield Finding(
                "group.no-default", (*found[0][0], "kind"), message, "write isDefault: true at one of them"
            )
        for path in defaults[1:]:
            message = f"a second command is the default of kind {kind}"
            yield Finding("group.several-defaults", (*path, "isDefault"), message, "leave one")


def events(document: Document) -> Findings:
    """EVT-1 to EVT-6: events name existing commands of the right kind, and composites of such commands only."""
    commands = {command.id: command for command in document.devfile.commands}
    for event, kind in EVENTS.items():
        named = _event(document, event)
        for name in dict.fromkeys(named):
            path: KeyPath = ("events", event, named.index(name))
            command = commands.get(name.lower())
            if command is None:
                if is_unknown(document, name):
                    message = f"{event} names the command {show(name)}, which does not exist"
                    yield Finding("reference.missing", path, message, names_known("commands", commands))
            elif command.composite:
                yield from _event_composite(commands, path, event, command)
            elif command.kind != kind:
                message = f"{event} runs {kind} commands, but {show(name)} is of type {command.kind}"
                yield Finding("reference.wrong-kind", path, message)


def _event_composite(
    commands: Mapping[str, Command], path: KeyPath, event: str, command: Command
) -> Findings:
    kind = EVENTS[event]
    for part in dict.fromkeys(command.composite.commands if command.composite else ()):
        # Case matters here: the reference parser ignores parts that are written in another case.
        found = commands.get(part)
        if found is None or found.kind == kind:
            continue
        if found.composite:
            message = f"composite {show(command.id)} in {event} contains the composite {show(part)}"
            yield Finding("event.nested-composite", path, message, "list the commands themselves")
        else:
            message = (
                f"{event} runs {kind} commands, but {show(part)} in composite {show(command.id)} is not one"
            )
            yield Finding("reference.wrong-kind", path, message)


def _event(document: Document, event: str) -> tuple[str, ...]:
    attribute = {
        "preStart": "pre_start",
        "postStart": "post_start",
        "preStop": "pre_stop",
        "postStop": "post_stop",
    }
    found: tuple[str, ...] = getattr(document.devfile.events, attribute[event], ())
    return found


def projects(document: Document) -> Findings:
    """PRJ-1 to PRJ-6: the number of remotes that a Git source may have, and the remote that is checked out."""
    for index, project in enumerate(document.devfile.projects):
        if project.git:
            yield from _remotes(
                ("projects", index, "git"), f"project {show(project.name)}", project.git, single=False
            )
    for index, starter in enumerate(document.devfile.starter_projects):
        if starter.git:
            who = f"starter project {show(starter.name)}"
            yield from _remotes(("starterProjects", index, "git"), who, starter.git, single=True)
    for index, component in enumerate(document.devfile.components):
        if component.image and component.image.dockerfile.git:
            path: KeyPath = ("components", index, "image", "dockerfile", "git")
            yield from _remotes(
                path, f"image component {show(component.name)}", component.image.dockerfile.git, single=True
            )


def _remotes(path: KeyPath, who: str, git: Git, *, single: bool) -> Findings:
    wanted = git.checkout_from.remote if git.checkout_from else ""
    if not git.remotes or (single and len(git.remotes) > 1):
        needed = "exactly one remote" if single else "at least one remote"
        yield Finding("project.remotes", (*path, "remotes"), f"{who} needs {needed}")
    elif len(git.remotes) > 1 and not wanted:
        message = f"{who} has {len(git.remotes)} remotes and does not say which one to check out"
        yield Finding("project.checkout-remote", path, message, "name it in checkoutFrom.remote")
    elif wanted and wanted not in git.remotes:
        message = f"{who} checks out from the remote {show(wanted)}, which it does not have"
        yield Finding(
            "project.checkout-remote",
            (*path, "checkoutFrom", "remote"),
            message,
            names_known("remotes", git.remotes),
        )
