"""Rules about the relations of a devfile's elements, one function per rule.

Source: devfile/api, pkg/validation/validation-rule.md; the ids in the docstrings are those of wsdash's table of its
rules. Rules marked "ours" refuse devfiles that can never run. All take a document whose variables are
replaced, and skip elements that are too broken to read. `wsdash.devfile.codes` has the severities.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import Finding, KeyPath
from wsdash.devfile.quantity import CPU_EXAMPLES, EXAMPLES, parse_quantity
from wsdash.devfile.schema.document import Document
from wsdash.devfile.schema.elements import RESERVED_ENV, containers, endpoints, is_unknown, names_known
from wsdash.devfile.schema.models import Component
from wsdash.devfile.validate.command_rules import command_targets, composites, events, groups, projects
from wsdash.workload import NO_USER, names_a_user

Findings = Iterator[Finding]
Rule = Callable[[Document], Findings]

_QUANTITIES = (("memoryLimit", "memory_limit"), ("memoryRequest", "memory_request"),
               ("cpuLimit", "cpu_limit"), ("cpuRequest", "cpu_request"))  # fmt: skip


def has_components(document: Document) -> Findings:
    """Ours: a devfile without any component has nothing to run in."""
    if not document.devfile.components and not document.inherits and not document.dropped:
        yield Finding(
            "component.none", (), "the devfile has no component", "add one with a container and an image"
        )


def parent(document: Document) -> Findings:
    """Ours: a parent that was not read is reported, because references to its elements are not checked."""
    if document.devfile.parent:
        message = "the parent is not read, so references to its elements are not checked"
        yield Finding("parent.not-read", ("parent",), message)


def unique_names(document: Document) -> Findings:
    """ID-1, ID-2 and EP-1: component names, command ids, and endpoint names over all components."""
    devfile = document.devfile
    yield from _unique(
        "component", ((("components", i, "name"), c.name) for i, c in enumerate(devfile.components))
    )
    yield from _unique("command", ((("commands", i, "id"), c.id) for i, c in enumerate(devfile.commands)))
    yield from _unique("endpoint", (((*path, "name"), e.name) for path, _, e in endpoints(document)))


def _unique(kind: str, named: Iterable[tuple[KeyPath, str]]) -> Findings:
    seen: set[str] = set()
    for path, name in named:
        if name in seen:
            yield Finding(
                "name.duplicate", path, f"a second {kind} has the name {show(name)}", "give it another name"
            )
        seen.add(name)


def images(document: Document) -> Findings:
    """Ours: an image name that is empty or has blanks can never be pulled."""
    for path, component, container in containers(document):
        if names_a_user(container.image):
            yield Finding("image.invalid", (*path, "image"), *NO_USER)
        elif not container.image or container.image.split() != [container.image]:
            message = f"the image of component {show(component.name)} is {show(container.image)}"
            yield Finding(
                "image.invalid",
                (*path, "image"),
                message,
                "name an image, such as docker.io/library/debian:13",
            )


def env(document: Document) -> Findings:
    """ENV-2: a container may not set the variables with the paths of the sources; a command may."""
    for path, component, container in containers(document):
        for index, entry in enumerate(container.env):
            if entry.name in RESERVED_ENV:
                message = (
                    f"the environment variable {entry.name} is reserved, in component {show(component.name)}"
                )
                yield Finding(
                    "env.reserved", (*path, "env", index, "name"), message, "remove it: wsdash sets it"
                )


def no_nul(document: Document) -> Findings:
    """Ours: no argument or variable of a process can contain a NUL character."""
    for path, _, container in containers(document):
        texts = [((*path, "image"), container.image)]
        texts += [((*path, "env", i, "value"), e.value) for i, e in enumerate(container.env)]
        texts += [((*path, "command", i), text) for i, text in enumerate(container.command)]
        texts += [((*path, "args", i), text) for i, text in enumerate(container.args)]
        yield from (_nul(where) for where, text in texts if "\0" in text)
    for index, command in enumerate(document.devfile.commands):
        if command.exec:
            here: KeyPath = ("commands", index, "exec")
            texts = [
                ((*here, "commandLine"), command.exec.command_line),
                ((*here, "workingDir"), command.exec.working_dir),
            ]
            texts += [((*here, "env", i, "value"), e.value) for i, e in enumerate(command.exec.env)]
            yield from (_nul(where) for where, text in texts if "\0" in text)


def _nul(path: KeyPath) -> Finding:
    return Finding(
        "text.nul", path, "the value contains a NUL character, which no process can receive", "remove it"
    )


def resources(document: Document) -> Findings:
    """RES-1, RES-2: memory and CPU are quantities, a request is not above its limit. Ours: none is negative."""
    for path, component, container in containers(document):
        values = {}
        for key, attribute in _QUANTITIES:
            text = getattr(container, attribute)
            what = f"{key} of component {show(component.name)}"
            if text:
                yield from _quantity(
                    (*path, key), what, text, CPU_EXAMPLES if key.startswith("cpu") else EXAMPLES
                )
                values[key] = _value(text)
        for what in ("memory", "cpu"):
            request, limit = values.get(f"{what}Request"), values.get(f"{what}Limit")
            if request and limit and limit > 0 and request > limit:
                message = f"{what}Request of component {show(component.name)} is greater than its {what}Limit"
                yield Finding("quantity.request-over-limit", (*path, f"{what}Request"), message)


def volume_sizes(document: Document) -> Findings:
    """VOL-3: a volume's size is a quantity."""
    for index, component in enumerate(document.devfile.components):
        if component.volume and component.volume.size:
            what = f"the size of volume {show(component.name)}"
            yield from _quantity(
                ("components", index, "volume", "size"), what, component.volume.size, EXAMPLES
            )


def _quantity(path: KeyPath, what: str, text: str, examples: str) -> Findings:
    try:
        value = parse_quantity(text)
    except ValueError as error:
        yield Finding("quantity.invalid", path, f"{what} is {show(text)}: {error}", examples)
        return
    if value < 0:
        yield Finding("quantity.negative", path, f"{what} is negative: {show(text)}", examples)
    elif 0 < value < 1 and examples == EXAMPLES:
        message = f"{what} is less than one byte: {show(text)}"
        yield Finding(
            "quantity.less-than-a-byte", path, message, "m means a thousandth; Mi and M mean a million"
        )


def _value(text: str) -> float | None:
    try:
        return float(parse_quantity(text))
    except ValueError:
        return None


def volume_mounts(document: Document) -> Findings:
    """VOL-1: a mount names a volume component. Ours: its path is absolute, and no other volume is there."""
    volumes = {c.name for c in document.devfile.components if c.volume}
    for path, component, container in containers(document):
        taken: dict[str, str] = {}
        for index, mount in enumerate(container.volume_mounts):
            here = (*path, "volumeMounts", index)
            if mount.name not in volumes and is_unknown(document, mount.name):
                message = (
                    f"component {show(component.name)} mounts {show(mount.name)}, but no volume has that name"
                )
                yield Finding("reference.missing", (*here, "name"), message, names_known("volumes", volumes))
            target = mount.path or f"/{mount.name}"
            if not target.startswith("/"):
                message = f"the mount path {show(target)} is not absolute"
                yield Finding("volume.path", (*here, "path"), message, "begin it with /")
            elif (other := taken.setdefault(target.rstrip("/"), mount.name)) != mount.name:
                message = (
                    f"the volumes {show(other)} and {show(mount.name)} are both mounted at {show(target)}"
                )
                yield Finding("volume.same-path", here, message, "give one of them another path")


def ports(document: Document) -> Findings:
    """EP-2: two containers do not listen on one port. Ours: a port is between 1 and 65535."""
    users: dict[int, Component] = {}
    for path, component, endpoint in endpoints(document):
        here, port = (*path, "targetPort"), endpoint.target_port
        if not 1 <= port <= 65535:
            yield Finding("port.range", here, f"the port {show(port)[1:-1]} is not between 1 and 65535")
        if not component.container:
            continue
        other = users.setdefault(port, component)
        if other is not component and other.container:
            apart = component.container.dedicated_pod or other.container.dedicated_pod
            message = (
                f"the components {show(other.name)} and {show(component.name)} both listen on port {port}"
            )
            yield Finding(
                "port.shared-dedicated-pod" if apart else "port.shared", here, message, "change one port"
            )


def agreeing_annotations(document: Document) -> Findings:
    """ANN-1: containers that share a pod have equal values for its annotations."""
    seen: dict[tuple[str, str], str] = {}
    for path, _, container in containers(document):
        if not container.annotation or container.dedicated_pod:
            continue
        for kind in ("deployment", "service"):
            for key, value in getattr(container.annotation, kind).items():
                if seen.setdefault((kind, key), value) != value:
                    message = f"the {kind} annotation {show(key)} has two different values"
                    yield Finding("annotation.conflict", (*path, "annotation", kind, key), message)


def uris(document: Document) -> Findings:
    """K8S-2: the address of a manifest can be parsed."""
    for index, component in enumerate(document.devfile.components):
        manifest = component.kubernetes or component.openshift
        if manifest and manifest.uri and not uri_parses(manifest.uri):
            path: KeyPath = ("components", index, component.kind, "uri")
            yield Finding("uri.invalid", path, f"{show(manifest.uri)} is not a URI")


def uri_parses(uri: str) -> bool:
    """Whether the reference parser (Go's net/url) accepts it as an absolute or relative reference."""
    address, _, fragment = uri.partition("#")
    if re.search(r"[\x00-\x1f\x7f]", uri) or re.search(
        r"%(?![0-9A-Fa-f]{2})", address.partition("?")[0] + fragment
    ):
        return False
    scheme, colon, rest = address.partition(":")
    if not colon or "/" in scheme or "?" in scheme:
        return True
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return False
    host = re.split(r"[/?]", rest[2:])[0].rpartition("@")[2] if rest.startswith("//") else ""
    return " " not in host and bool(re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(:[0-9]*)?", host))


RULES: tuple[Rule, ...] = (
    has_components, parent, unique_names, images, env, no_nul, resources, volume_sizes, volume_mounts, ports,
    agreeing_annotations, uris, command_targets, composites, groups, events, projects,
)  # fmt: skip
