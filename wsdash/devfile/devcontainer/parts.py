"""Ports, mounts, requirements and secrets of a Dev Container."""

from __future__ import annotations

import re

from wsdash.devfile.devcontainer.report import Report
from wsdash.devfile.devcontainer.substitution import Substitution
from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import KeyPath, Object, Value
from wsdash.devfile.translation.container import ENV_NAME
from wsdash.workload import Port, Resources, Secret, Volume

_PROTOCOLS = ("http", "https")
_SIZE = re.compile(r"(\d+)\s*([kmgt]b)?", re.IGNORECASE)
_UNITS = {"": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}


def ports(root: Object, report: Report) -> tuple[Port, ...]:
    """Return forwardPorts and appPort, with their portsAttributes."""
    attributes = report.mapping(root, "portsAttributes")
    listed = report.items(root, "forwardPorts")
    app_port = root.get("appPort")
    if isinstance(app_port, int | str):
        listed.append((("appPort",), app_port))
    elif app_port is not None:
        listed += report.items(root, "appPort")
    found: dict[int, Port] = {}
    for path, value in listed:
        number = _port(value, path, report)
        if number is None or number in found:
            continue
        about = attributes.get(str(number))
        about = about if isinstance(about, Object) else Object()
        protocol = about.get("protocol")
        is_hidden = about.get("onAutoForward") == "ignore"
        found[number] = Port(
            _port_name(about.get("label"), number, {port.name for port in found.values()}),
            number,
            protocol=str(protocol) if protocol in _PROTOCOLS else "tcp",
            exposure="none" if is_hidden else "public",
            secure=protocol == "https",
        )
    return tuple(found.values())


def _port(value: Value, path: KeyPath, report: Report) -> int | None:
    if isinstance(value, str) and path[0] == "forwardPorts" and re.fullmatch(r"[A-Za-z0-9._-]+:\d+", value):
        message = f"{show(value)} is only reachable under that name inside the workspace"
        report.add("devcontainer.port", path, message, "to forward it, listen in the main container")
        return None
    text = value.rpartition(":")[2].partition("/")[0] if isinstance(value, str) else value
    if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 6:
        text = int(text)
    if isinstance(text, bool) or not isinstance(text, int) or not 1 <= text <= 65535:
        report.wrong(path, value, "a port from 1 to 65535")
        return None
    return text


def _port_name(label: Value, number: int, taken: set[str]) -> str:
    name = (
        re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:15].strip("-") if isinstance(label, str) else ""
    )
    return name if name and name not in taken else f"port-{number}"


def volumes(root: Object, report: Report, substitute: Substitution) -> tuple[Volume, ...]:
    """Return mounts of the type volume; other types refer to the user's machine and are reported."""
    found: dict[str, Volume] = {}
    for path, value in report.items(root, "mounts"):
        mount = _mount(value, path, report)
        kind, target = mount.get("type", "bind"), mount.get("target", "")
        source = substitute(mount.get("source", ""), path, in_container=False).text
        place = substitute(target, path, in_container=False)
        if not mount:
            continue
        if kind != "volume":
            message = f"the {kind} mount at {show(target)} is left out: a job has no access to your machine"
            report.add("devcontainer.mount", path, message, "fetch the files in the job, or use a volume")
        elif place.expands or not place.text.startswith("/") or "\0" in place.text:
            message = (
                f"the volume at {show(target)} is left out: it needs an absolute path outside the sources"
            )
            report.add("devcontainer.mount", path, message, "begin it with /")
        else:
            name = re.sub(r"[^a-z0-9]+", "-", (source or place.text).lower()).strip("-")[:63].strip("-")
            found.setdefault(place.text.rstrip("/"), Volume(name or "volume", place.text))
    return tuple(found.values())


def _mount(value: Value, path: KeyPath, report: Report) -> dict[str, str]:
    """Return the parts of a mount, with docker's short names replaced by the long ones."""
    if isinstance(value, str):
        pairs = [part.partition("=")[::2] for part in value.split(",")]
    elif isinstance(value, Object):
        pairs = [(key, one) for key, one in value.items() if isinstance(one, str)]
    else:
        report.wrong(path, value, "a text as for docker's --mount, or a mapping")
        return {}
    longer = {"src": "source", "dst": "target", "destination": "target"}
    return {longer.get(key.strip(), key.strip()): text for key, text in pairs}


def resources(root: Object, report: Report) -> Resources:
    """Return hostRequirements as a resource request to the runner."""
    wanted = report.mapping(root, "hostRequirements")
    cpus, memory = wanted.get("cpus"), wanted.get("memory")
    cores = float(cpus) if isinstance(cpus, int | float) and not isinstance(cpus, bool) and cpus > 0 else None
    if cpus is not None and cores is None:
        report.wrong(("hostRequirements", "cpus"), cpus, "a number above 0")
    size = None
    if memory is not None:
        match = _SIZE.fullmatch(memory.strip()) if isinstance(memory, str) else None
        if match is None or len(match[1]) > 12:
            report.wrong(("hostRequirements", "memory"), memory, "a size such as 8gb")
        else:
            size = int(match[1]) * _UNITS[(match[2] or "").lower()]
    for key in ("storage", "gpu"):
        if wanted.get(key):
            message = f"the requirement {key} ({show(wanted[key])}) does not choose a runner"
            report.add(
                "devcontainer.requirement", ("hostRequirements", key), message, "choose one by its tags"
            )
    return Resources(cpu_request=cores, memory_request=size or None)


def secrets(root: Object, report: Report) -> tuple[Secret, ...]:
    """Return the recommended secrets: names whose values the provider supplies."""
    found = []
    for name, about in report.mapping(root, "secrets").items():
        if not ENV_NAME.fullmatch(name):
            report.wrong(("secrets", name), name, "a name of letters, digits and _")
            continue
        description = about.get("description") if isinstance(about, Object) else None
        found.append(Secret(name, description[:200] if isinstance(description, str) else ""))
    return tuple(found)
