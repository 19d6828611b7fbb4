"""Translates a compose file's other services to additional containers, and the main service's volumes."""

from __future__ import annotations

import re

from wsdash.devfile.devcontainer.compose import Compose, ComposeService
from wsdash.devfile.devcontainer.report import Report
from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import Object
from wsdash.devfile.translation.container import ENV_NAME
from wsdash.workload import NO_USER, EnvVar, Service, Volume, names_a_user

_IDLE = re.compile(
    r"sleep (infinity|inf|\d+[smhd]?)|tail -f /dev/null"
    r"|(/bin/)?(sh|bash) -l?c ['\"]?(while|sleep|tail -f /dev/null|trap).*",
    re.DOTALL,
)


def idle(words: tuple[str, ...]) -> bool:
    """Whether a command only keeps a container alive, which a job does by itself."""
    return not words or _IDLE.fullmatch(" ".join(words)) is not None


def service_containers(
    root: Object, main: ComposeService, compose: Compose, report: Report
) -> tuple[Service, ...]:
    """Return the containers of `runServices` and their dependencies, or of all services if it is absent."""
    if "runServices" in root:
        wanted = [name for _, name in report.items(root, "runServices") if isinstance(name, str)]
        wanted += main.depends_on
    else:
        wanted = list(compose.services)
    found: dict[str, Service] = {}
    while wanted:
        name = wanted.pop(0)
        service = compose.services.get(name)
        if name == main.name or name in found:
            continue
        if service is None:
            message = f"the compose file has no service {show(name)}, so it is not started"
            report.add("compose.ignored", ("runServices",), message, "correct its name")
            continue
        wanted += service.depends_on
        if service.image is None:
            message = f"the service {show(name)} is not started: it has no image, and a job builds none"
            compose.report.add(
                "compose.build", service.path, message, "build it once, push it, and name it as image"
            )
            continue
        found[name] = _service(service, service.image, compose)
    return tuple(found.values())


def _service(service: ComposeService, image: str, compose: Compose) -> Service:
    report = compose.report
    if names_a_user(image):
        report.add("image.invalid", (*service.path, "image"), *NO_USER)
    if service.is_built:
        message = f"the image {show(image)} is pulled from its registry; it is not built"
        report.add("compose.build", service.path, message, "build it once and push it")
    for source, target in service.volumes:
        if source in compose.volumes or not source:
            message = (
                f"{show(service.name)} does not keep {show(target)}: it is an additional container of the job"
            )
        else:
            message = (
                f"{show(service.name)} has no {show(source)} at {show(target)}: it cannot access the sources"
            )
        report.add("compose.mount", (*service.path, "volumes"), message, "add the files to its image")
    for name, value in service.env.items():
        if value is None:
            message = f"the variable {show(name)} of your machine is not passed to {show(service.name)}"
            report.add("compose.variable", (*service.path, "environment"), message, "write its value")
    return Service(
        name=re.sub(r"[^a-z0-9-]", "-", service.name.lower()).strip("-")[:63] or "service",
        image=image,
        entrypoint=service.entrypoint,
        command=service.command,
        env=tuple(
            EnvVar(name, value)
            for name, value in service.env.items()
            if value is not None and ENV_NAME.fullmatch(name) and "\0" not in value
        ),
        health_port=next(iter(service.ports), None),
    )


def main_volumes(main: ComposeService, compose: Compose) -> tuple[Volume, ...]:
    """Return named volumes of the main service. Its mounted sources are replaced by the job's clone."""
    found = []
    for source, target in main.volumes:
        if source in compose.volumes or not source:
            if target.startswith("/") and "\0" not in target:
                name = re.sub(r"[^a-z0-9]+", "-", (source or target).lower()).strip("-")[:63].strip("-")
                found.append(Volume(name or "volume", target))
        elif not source.startswith(".") or "/" in source.strip("./"):
            message = f"{show(source)} is not mounted at {show(target)}: a job has no access to your machine"
            compose.report.add(
                "compose.mount", (*main.path, "volumes"), message, "fetch the files in the job"
            )
    return tuple(found)
