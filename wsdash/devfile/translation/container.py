"""Translates a container: environment, entrypoint, ports, volumes, resources; and the additional containers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import Finding, KeyPath
from wsdash.devfile.quantity import bytes_of, cores_of
from wsdash.devfile.schema.document import Document
from wsdash.devfile.schema.elements import RESERVED_ENV
from wsdash.devfile.schema.models import Component, Container, EnvEntry
from wsdash.devfile.translation.main_component import LocatedContainer
from wsdash.workload import EnvVar, Port, Resources, Service, Volume

Report = Callable[[Finding], None]

ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Names of variables that a shell accepts."""
_STORAGE_TYPE = "controller.devfile.io/storage-type"


def env_vars(
    entries: tuple[EnvEntry, ...], path: KeyPath, report: Report, *, reserved: bool = True
) -> tuple[EnvVar, ...]:
    """Return the variables that a process can have. The last value of a name is used, as in Kubernetes."""
    found: dict[str, EnvVar] = {}
    for index, entry in enumerate(entries):
        here = (*path, "env", index)
        name = entry.name
        if reserved and name in RESERVED_ENV:
            message = f"{name} is ignored: the workspace sets it to the path of its sources"
            report(Finding("ignored.env-reserved", (*here, "name"), message, "drop it"))
        elif not ENV_NAME.fullmatch(name):
            message = f"the environment variable {show(name)} is not set: a shell cannot have that name"
            report(Finding("env.name", (*here, "name"), message, "use letters, digits and _"))
        elif "\0" in entry.value:
            message = f"the environment variable {name} is not set: its value contains a NUL character"
            report(Finding("text.nul", (*here, "value"), message, "take it out"))
        else:
            if name in found:
                message = f"the environment variable {name} is given twice; this value is used"
                report(Finding("env.duplicate", (*here, "name"), message, "keep one"))
            found[name] = EnvVar(name, entry.value)
    return tuple(found.values())


def entrypoint(main: LocatedContainer, report: Report) -> tuple[str, ...]:
    """Return the command that runs in the background of the workspace, if `overrideCommand: false` is set."""
    container, attributes = main.container, main.component.attributes
    written = (*container.command, *container.args)
    override = attributes.get("overrideCommand", True)
    here = (*main.path[:-1], "attributes", "overrideCommand")
    if not isinstance(override, bool):
        message = f"overrideCommand must be true or false, not {show(override)}; true is assumed"
        report(Finding("override-command.type", here, message))
        override = True
    if not override and container.command:
        return _without_nul(written, main.path, report)
    if not override:
        message = "the image's own entrypoint cannot be run: only an image registry knows it"
        report(Finding("entrypoint.unknown", here, message, "write it as the container's command"))
    elif written:
        key = "command" if container.command else "args"
        message = (
            f"the {key} of {show(main.component.name)} is not run: the workspace keeps the container alive"
        )
        hint = "set the component's attribute overrideCommand: false to run it in the background"
        report(Finding("ignored.entrypoint", (*main.path, key), message, hint, True))
    return ()


def _without_nul(words: tuple[str, ...], path: KeyPath, report: Report) -> tuple[str, ...]:
    if any("\0" in word for word in words):
        report(
            Finding(
                "text.nul",
                (*path, "command"),
                "the command is not run: it contains a NUL character",
                "take it out",
            )
        )
        return ()
    return words


def ports(main: LocatedContainer, report: Report) -> tuple[Port, ...]:
    """Return the main container's endpoints as ports."""
    found = []
    for index, endpoint in enumerate(main.container.endpoints):
        here = (*main.path, "endpoints", index)
        if not 1 <= endpoint.target_port <= 65535:
            report(
                Finding(
                    "port.range",
                    (*here, "targetPort"),
                    f"endpoint {show(endpoint.name)} is left out: its port is invalid",
                    "use 1 to 65535",
                )
            )
            continue
        if endpoint.protocol == "udp":
            message = f"endpoint {show(endpoint.name)} is UDP, which cannot be forwarded to your machine"
            report(
                Finding("ignored.udp-endpoint", (*here, "protocol"), message, "use TCP where the program can")
            )
        for key, value in (("attributes", endpoint.attributes), ("annotation", endpoint.annotation)):
            if value:
                message = f"the {key} of endpoint {show(endpoint.name)} have no effect here: {_keys(value)}"
                report(Finding("ignored.annotation", (*here, key), message, "nothing to do", True))
        found.append(
            Port(
                endpoint.name,
                endpoint.target_port,
                endpoint.protocol,
                endpoint.exposure,
                endpoint.path,
                endpoint.secure,
            )
        )
    return tuple(found)


def volumes(document: Document, main: LocatedContainer, report: Report) -> tuple[Volume, ...]:
    """Return the main container's mounts, with the sizes of their volume components."""
    components = {c.name: c.volume for c in document.devfile.components if c.volume}
    all_ephemeral = document.devfile.attributes.get(_STORAGE_TYPE) == "ephemeral"
    found: dict[str, Volume] = {}
    for index, mount in enumerate(main.container.volume_mounts):
        here = (*main.path, "volumeMounts", index)
        volume, path = components.get(mount.name), mount.path or f"/{mount.name}"
        if volume is None:
            message = f"the mount of {show(mount.name)} is left out: no volume component has that name"
            report(
                Finding(
                    "reference.missing",
                    (*here, "name"),
                    message,
                    "add a component with that name and volume: {}",
                )
            )
        elif not path.startswith("/") or "\0" in path:
            message = f"the mount of {show(mount.name)} is left out: {show(path)} is not absolute"
            report(Finding("volume.path", (*here, "path"), message, "begin it with /"))
        elif path.rstrip("/") in found:
            message = f"the mount of {show(mount.name)} is left out: another volume is at {show(path)}"
            report(Finding("volume.same-path", here, message, "give one of them another path"))
        else:
            size = _quantity(volume.size, bytes_of)
            found[path.rstrip("/")] = Volume(mount.name, path, size, volume.ephemeral or all_ephemeral)
    return tuple(found.values())


def resources(container: Container) -> Resources:
    """Return the quantities that are valid; the rules report the others."""
    return Resources(
        cpu_limit=_quantity(container.cpu_limit, cores_of),
        cpu_request=_quantity(container.cpu_request, cores_of),
        memory_limit=_quantity(container.memory_limit, bytes_of),
        memory_request=_quantity(container.memory_request, bytes_of),
    )


def unreadable_resources(placed: LocatedContainer) -> Iterator[Finding]:
    """Report quantities that are left out because they are invalid."""
    values = resources(placed.container)
    for key in ("memory_limit", "memory_request", "cpu_limit", "cpu_request"):
        text = getattr(placed.container, key)
        if text and getattr(values, key) is None:
            word, _, tail = key.partition("_")
            field = word + tail.title()
            message = f"{field} of component {show(placed.component.name)} is left out: {show(text)} is not a quantity"
            yield Finding(
                "quantity.invalid", (*placed.path, field), message, "write it as, for example, 512Mi or 500m"
            )


_N = TypeVar("_N", int, float)


def _quantity(text: str, read: Callable[[str], _N]) -> _N | None:
    """Parse a quantity; None if it is absent, zero (no limit in Kubernetes) or invalid."""
    try:
        value = read(text) if text else None
    except ValueError:
        return None
    return value if value and value > 0 and math.isfinite(value) else None


def service(placed: LocatedContainer, report: Report) -> Service:
    """Return an additional container, which runs the command of its image or its own."""
    container, component = placed.container, placed.component
    _report_unsupported(placed, report)
    listening = (
        e.target_port for e in container.endpoints if e.protocol != "udp" and 1 <= e.target_port <= 65535
    )
    return Service(
        name=component.name,
        image=container.image,
        entrypoint=_without_nul(container.command, placed.path, report),
        command=_without_nul(container.args, placed.path, report),
        env=env_vars(container.env, placed.path, report),
        health_port=next(listening, None),
        resources=resources(container),
    )


def _report_unsupported(placed: LocatedContainer, report: Report) -> None:
    container, name, path = placed.container, show(placed.component.name), placed.path
    if placed.component.attributes.get("overrideCommand") is True:
        message = f"{name} runs its own command: only the main component is kept alive by the job"
        report(
            Finding(
                "ignored.override-command", (*path[:-1], "attributes", "overrideCommand"), message, "drop it"
            )
        )
    for index, mount in enumerate(container.volume_mounts):
        message = f"{name} does not have the volume {show(mount.name)}: it is an additional container"
        hint = "store the service's data in its own image, or run the service in the main component"
        report(Finding("ignored.service-volume", (*path, "volumeMounts", index), message, hint))
    if container.mount_sources:
        message = f"{name} cannot access the sources: it is an additional container"
        report(Finding("ignored.mount-sources", (*path, "mountSources"), message, "drop it", True))
    for index, endpoint in enumerate(container.endpoints):
        address = f"{placed.component.name}:{endpoint.target_port}"
        message = f"endpoint {show(endpoint.name)} is only reachable at {address} inside the workspace"
        report(
            Finding(
                "ignored.service-endpoint",
                (*path, "endpoints", index),
                message,
                "move it to the main component to forward it",
            )
        )


def unsupported_in_container(placed: LocatedContainer, component: Component) -> Iterator[Finding]:
    """Report fields that no container of a job supports."""
    container, name, path = placed.container, show(component.name), placed.path
    if container.dedicated_pod:
        message = f"{name} has no pod of its own"
        yield Finding(
            "ignored.dedicated-pod",
            (*path, "dedicatedPod"),
            message,
            "this needs no action: it is a separate container",
            True,
        )
    if container.annotation:
        yield Finding(
            "ignored.annotation",
            (*path, "annotation"),
            f"the annotations of {name} have no effect outside Kubernetes",
            "this needs no action",
            True,
        )
    yield from unreadable_resources(placed)


def _keys(mapping: dict[str, object] | dict[str, str]) -> str:
    listed = [show(key)[1:-1] for key in list(mapping)[:8]]
    return ", ".join(listed) + (", ..." if len(mapping) > 8 else "")
