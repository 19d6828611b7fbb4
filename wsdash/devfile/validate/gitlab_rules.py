"""GitLab Workspaces' restrictions beyond those of the reference parser.

Source: GitLab, "Workspaces" (doc/user/workspace), sections on devfile validation rules; where the page and a
running instance are known to differ, the rules follow the instance. The authority is GitLab's GraphQL mutation
`devfileValidate`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml
from yaml.events import AliasEvent, ScalarEvent

from wsdash.devfile.diagnostics import Diagnostic, show
from wsdash.devfile.parse.tree import Finding, KeyPath, Mark, Object, diagnostic
from wsdash.devfile.schema.document import Document
from wsdash.devfile.schema.elements import containers, endpoints
from wsdash.devfile.translation.main_component import INJECT_EDITOR

Findings = Iterator[Finding]

VERSION = "2.2.0"
_FORBIDDEN = ("parent", "projects", "starterProjects")
_TYPES = ("container", "volume")
_EXEC_FIELDS = ("commandLine", "component", "label", "hotReloadCapable", "workingDir")
_LONGEST_VOLUME_NAME = 27
_DATE = re.compile(r"-?[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt\s].*)?")


def yaml_subset(text: str) -> Iterator[Diagnostic]:
    """Report aliases and dates without quotes, which GitLab's YAML parser refuses. The text is valid YAML or
    JSON.
    """
    if text.lstrip().startswith("{"):
        return
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, AliasEvent):
            yield _at(
                event, f"the alias {show(event.anchor)} is not supported by GitLab", "write the value out"
            )
        elif isinstance(event, ScalarEvent) and event.implicit[0] and _DATE.fullmatch(event.value):
            yield _at(event, f"{show(event.value)} is a date to GitLab, which accepts none", "quote it")


def _at(event: AliasEvent | ScalarEvent, message: str, hint: str) -> Diagnostic:
    mark = event.start_mark
    place = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
    return diagnostic("gitlab.text", place, message, hint)


def restrictions(document: Document) -> Findings:
    """Apply all of GitLab's restrictions to one document; GitLab does before and after variables are replaced."""
    yield from top_level(document)
    yield from component_types(document)
    yield from main_component(document)
    yield from container_fields(document)
    yield from commands(document)
    yield from events(document)
    yield from reserved_names(document)
    yield from overrides(document)


def top_level(document: Document) -> Findings:
    """GitLab reads one schema version only, and refuses some top-level keys, such as `parent`."""
    root = document.tree.root
    written = document.devfile.schema_version
    if written != VERSION:
        message = f"GitLab reads schema {VERSION} only, not {show(written)}"
        yield Finding("gitlab.version", ("schemaVersion",), message, f"write schemaVersion: {VERSION}")
    for key in _FORBIDDEN:
        if isinstance(root, Object) and key in root:
            hint = "copy its elements" if key == "parent" else "the workspace's source is its GitLab project"
            yield Finding(
                "gitlab.field", (key,), f"GitLab does not accept {key}, not even an empty one", hint, True
            )


def component_types(document: Document) -> Findings:
    """GitLab needs at least one component, accepts only containers and volumes, and limits a volume's name."""
    if not document.devfile.components:
        yield Finding("gitlab.component", (), "GitLab needs at least one component")
    for index, component in enumerate(document.devfile.components):
        path: KeyPath = ("components", index)
        if component.kind not in _TYPES:
            message = f"GitLab does not accept components of type {component.kind}: {show(component.name)}"
            yield Finding(
                "gitlab.component", (*path, component.kind), message, "only container and volume", True
            )
        elif component.volume and len(component.name) > _LONGEST_VOLUME_NAME:
            message = (
                f"the volume name {show(component.name)} has more than {_LONGEST_VOLUME_NAME} characters"
            )
            yield Finding("gitlab.component", (*path, "name"), message, "shorten it")


def main_component(document: Document) -> Findings:
    """Exactly one component has the marker; GitLab counts every value but false and null as true."""
    values = [component.attributes.get(INJECT_EDITOR) for component in document.devfile.components]
    marked = [index for index, value in enumerate(values) if value is not None and value is not False]
    if not marked and document.devfile.components:
        message = f"GitLab needs one component with the attribute {INJECT_EDITOR}"
        yield Finding(
            "gitlab.main-component", ("components",), message, f"add attributes: {{{INJECT_EDITOR}: true}}"
        )
    for index in marked[1:]:
        message = f"a second component has the attribute {INJECT_EDITOR}"
        path: KeyPath = ("components", index, "attributes", INJECT_EDITOR)
        yield Finding("gitlab.main-component", path, message, "leave one", True)


def container_fields(document: Document) -> Findings:
    """GitLab refuses some fields of a container, and accepts `overrideCommand` only as a boolean."""
    for path, component, container in containers(document):
        refused = {
            "dedicatedPod": container.dedicated_pod,
            "mountSources": container.mount_sources,
            "sourceMapping": "source_mapping" in container.model_fields_set,
        }
        for key in (key for key, truthy in refused.items() if truthy):
            yield Finding("gitlab.field", (*path, key), f"GitLab does not accept {key}", "remove it", True)
        override = component.attributes.get("overrideCommand")
        where: KeyPath = (*path[:-1], "attributes", "overrideCommand")
        if "overrideCommand" in component.attributes and not isinstance(override, bool):
            yield Finding(
                "gitlab.override-command",
                where,
                f"overrideCommand must be true or false, not {show(override)}",
            )
        elif override is not False:
            for key in (
                key for key, given in (("command", container.command), ("args", container.args)) if given
            ):
                message = f"GitLab accepts {key} only with the attribute overrideCommand: false"
                hint = f"add the attribute, or remove {key}"
                yield Finding("gitlab.override-command", (*path, key), message, hint, True)


def commands(document: Document) -> Findings:
    """GitLab refuses composite commands, most fields of an exec command, and `hotReloadCapable: true`."""
    for index, command in enumerate(document.devfile.commands):
        path: KeyPath = ("commands", index, command.kind)
        if command.composite:
            message = f"GitLab does not accept composite commands: {show(command.id)}"
            yield Finding("gitlab.command", path, message, "list its commands in the event", True)
        body = document.tree.get(path)
        for key in body if command.exec and isinstance(body, Object) else ():
            if key not in _EXEC_FIELDS:
                message = f"GitLab does not accept {key} in command {show(command.id)}"
                yield Finding("gitlab.command", (*path, key), message, "drop it", True)
        if command.exec and command.exec.hot_reload_capable:
            message = f"GitLab accepts hotReloadCapable only as false, in command {show(command.id)}"
            yield Finding("gitlab.command", (*path, "hotReloadCapable"), message, "drop it", True)


def events(document: Document) -> Findings:
    """GitLab has no preStop and postStop events; postStart must name exec commands by their exact ids."""
    given = document.devfile.events
    if given is None:
        return
    for key, names in (("preStop", given.pre_stop), ("postStop", given.post_stop)):
        if names:
            yield Finding(
                "gitlab.event", ("events", key), f"GitLab has no {key} event", "use postStart", True
            )
    runnable = {command.id for command in document.devfile.commands if command.exec}
    for index, name in enumerate(given.post_start):
        if name not in runnable:
            message = f"postStart names {show(name)}, but GitLab requires the exact id of an exec command"
            yield Finding("gitlab.event", ("events", "postStart", index), message)


def reserved_names(document: Document) -> Findings:
    """Names that begin with gl- are reserved for GitLab."""
    for path, name in _names(document):
        if name.lower().startswith("gl-"):
            yield Finding(
                "gitlab.reserved-name", path, f"{show(name)} begins with gl-, which GitLab reserves"
            )
    for name in document.devfile.variables:
        if name.lower().startswith(("gl-", "gl_")):
            message = f"the variable {show(name)} begins with {name[:3]}, which GitLab reserves"
            yield Finding("gitlab.reserved-name", ("variables", name), message, "", True)


def _names(document: Document) -> Iterator[tuple[KeyPath, str]]:
    devfile = document.devfile
    for index, component in enumerate(devfile.components):
        yield ("components", index, "name"), component.name
    for path, _, endpoint in endpoints(document):
        yield (*path, "name"), endpoint.name
    for index, command in enumerate(devfile.commands):
        here: KeyPath = ("commands", index, command.kind)
        yield ("commands", index, "id"), command.id
        if target := command.exec or command.apply:
            yield (*here, "component"), target.component
        if body := command.exec or command.apply or command.composite:
            yield (*here, "label"), body.label
    if devfile.events:
        lists = (("preStart", devfile.events.pre_start), ("postStart", devfile.events.post_start),
                 ("preStop", devfile.events.pre_stop), ("postStop", devfile.events.post_stop))  # fmt: skip
        for event, names in lists:
            for index, name in enumerate(names):
                yield ("events", event, index), name


def overrides(document: Document) -> Findings:
    """GitLab refuses attributes that would change the pod."""
    refused: list[KeyPath] = [("attributes", "pod-overrides")]
    for index in range(len(document.devfile.components)):
        refused += [("components", index, "attributes", f"{what}-overrides") for what in ("pod", "container")]
    for path in refused:
        holder = document.tree.get(path[:-1])
        if isinstance(holder, Object) and path[-1] in holder:
            yield Finding(
                "gitlab.field", path, f"GitLab does not accept the attribute {path[-1]}", "remove it", True
            )
