"""Translates a Dev Container to a job's workload, and reports everything that is not carried over.

Source: containers.dev, "Dev Container metadata reference". A property that needs an image to be built is an
error that names the remedy: a job starts from an existing image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wsdash.devfile.devcontainer.compose import Compose, ComposeService, compose_files, needed, read_compose
from wsdash.devfile.devcontainer.document import DevContainer
from wsdash.devfile.devcontainer.editor import editor
from wsdash.devfile.devcontainer.environment import Environment
from wsdash.devfile.devcontainer.lifecycle import HOST, ORDER, lifecycle
from wsdash.devfile.devcontainer.parts import ports, resources, secrets, volumes
from wsdash.devfile.devcontainer.report import Report
from wsdash.devfile.devcontainer.run_arguments import run_arguments
from wsdash.devfile.devcontainer.services import idle, main_volumes, service_containers
from wsdash.devfile.devcontainer.substitution import Substitution
from wsdash.devfile.diagnostics import bounded, show
from wsdash.devfile.parse.tree import Object
from wsdash.devfile.translation.translate import Translation
from wsdash.workload import NO_USER, Service, Source, Volume, Workload, names_a_user

BUILD_HINT = (
    "build it once (devcontainer build --push true --image-name IMAGE --workspace-folder .) and give IMAGE: as"
    ' "image" here, or with --image'
)
LABELLED = ("mcr.microsoft.com/devcontainers/", "mcr.microsoft.com/vscode/devcontainers/")
"""Images with further metadata in their label devcontainer.metadata (containers.dev, "Image metadata")."""
PROPERTIES = frozenset(
    [
        "$schema",
        "name",
        "image",
        "build",
        "dockerFile",
        "context",
        "dockerComposeFile",
        "service",
        "runServices",
        "workspaceFolder",
        "workspaceMount",
        "features",
        "overrideFeatureInstallOrder",
        "containerEnv",
        "remoteEnv",
        "remoteUser",
        "containerUser",
        "updateRemoteUserUID",
        "userEnvProbe",
        "overrideCommand",
        "shutdownAction",
        "waitFor",
        "forwardPorts",
        "portsAttributes",
        "otherPortsAttributes",
        "appPort",
        "mounts",
        "runArgs",
        "privileged",
        "capAdd",
        "securityOpt",
        "init",
        "hostRequirements",
        "secrets",
        "customizations",
        "extensions",
        "settings",
        "devPort",
    ]
) | {HOST, *ORDER}
_PRIVILEGES = ("privileged", "capAdd", "securityOpt", "init")


def missing_files(document: DevContainer, files: Mapping[str, bytes | None]) -> list[str]:
    """Return paths, from the repository's root, to read before translating: those not in `files` yet.

    Give None for a file that does not exist. Ask again after reading: compose files name others.
    """
    if "dockerComposeFile" not in document.root:
        return []
    return [name for name in needed(compose_files(document.root, document.file), files) if name not in files]


@dataclass(frozen=True, slots=True)
class _Base:
    """The image or compose service that the container is made from."""

    image: str | None
    service: ComposeService | None = None
    services: tuple[Service, ...] = ()
    volumes: tuple[Volume, ...] = ()


def translate_devcontainer(
    document: DevContainer,
    *,
    files: Mapping[str, bytes | None] | None = None,
    source: Source | None = None,
    image: str | None = None,
    local_env: Mapping[str, str] | None = None,
) -> Translation:
    """Translate a Dev Container to a workload.

    `files` has the files that `missing_files` returned. `image` replaces the image or build of the Dev
    Container, for example by one that was built before. `local_env` has the variables of this machine for the job.
    Never raises for the document's content; an invalid part is left out and reported.
    """
    root, report = document.root, Report(document.tree)
    folder = source.folder if source is not None else "project"
    identity = f"{source.url if source is not None else ''} {document.file}"
    substitute = Substitution(report, local_env or {}, folder, identity)
    compose = _compose(document, files or {})
    base = _base(root, report, substitute, compose, image)
    arguments = run_arguments(root, report)
    environment = Environment(report, substitute)
    for name, value in (base.service.env if base.service else {}).items():
        if value is None:
            message = f"the variable {show(name)} of your machine is not passed to jobs"
            report.add("devcontainer.variable", ("service",), message, "name it as a secret of the project")
        else:
            environment.set(name, value, ("service",), is_raw=True)
    environment.take(root, "containerEnv", in_container=False)
    for path, name, value in arguments.env:
        if value is None:
            message = f"the variable {show(name)} of your machine is not passed to jobs"
            report.add("devcontainer.variable", path, message, "name it as a secret of the project")
        else:
            environment.set(name, value, path, in_container=False)
    environment.take(root, "remoteEnv", in_container=True)
    steps, ready_after = lifecycle(root, report, substitute)
    _report_unsupported(root, report)
    workload = Workload(
        image=base.image,
        entrypoint=_entrypoint(root, base, report),
        env=environment.variables,
        source=source,
        post_start=(*editor(root, report), *steps),
        ready_after=ready_after,
        services=base.services,
        ports=ports(root, report),
        volumes=_without_doubles((*volumes(root, report, substitute), *base.volumes)),
        resources=resources(root, report),
        user=_user(root, report, substitute, arguments.user, base),
        secrets=secrets(root, report),
    )
    found = [*document.diagnostics, *report.diagnostics, *(compose.report.diagnostics if compose else ())]
    return Translation(workload, bounded(found), "devcontainer" if base.image else None)


def _compose(document: DevContainer, files: Mapping[str, bytes | None]) -> Compose | None:
    if "dockerComposeFile" not in document.root:
        return None
    return read_compose(compose_files(document.root, document.file), files)


def _base(
    root: Object, report: Report, substitute: Substitution, compose: Compose | None, given: str | None
) -> _Base:
    """Return the image; with a compose file, the main service and the additional containers."""
    service = None
    services: tuple[Service, ...] = ()
    found_volumes: tuple[Volume, ...] = ()
    if compose is not None:
        name = report.text(root, "service", ()) or ""
        service = compose.services.get(name)
        if service is None and not any(d.severity == "error" for d in compose.report.diagnostics):
            known = ", ".join(show(one) for one in list(compose.services)[:8]) or "none"
            message = f"the compose file has no service {show(name)}"
            report.add("compose.service", ("service",), message, f"it has: {known}")
        if service is not None:
            services = service_containers(root, service, compose, report)
            found_volumes = main_volumes(service, compose)
    image = given or _image(root, report, substitute, service)
    if image and names_a_user(image):
        report.add("image.invalid", ("image" if service is None else "service",), *NO_USER)
    return _Base(image, service, services, found_volumes)


def _image(
    root: Object, report: Report, substitute: Substitution, service: ComposeService | None
) -> str | None:
    if service is not None:
        if service.is_built and service.image:
            message = f"the image {show(service.image)} is pulled from its registry; it is not built"
            report.add("compose.build", ("service",), message, BUILD_HINT)
        elif service.is_built:
            message = (
                f"the service {show(service.name)} is built from a Dockerfile, but a job builds no image"
            )
            report.add("devcontainer.build", ("service",), message, BUILD_HINT)
        elif not service.image:
            message = f"the service {show(service.name)} has no image"
            report.add("devcontainer.no-image", ("service",), message, BUILD_HINT)
        return service.image
    built = next((key for key in ("build", "dockerFile") if key in root), None)
    image = report.text(root, "image", ())
    if image:
        if built is not None:
            message = "both image and a build are given; the image is used"
            report.add("devcontainer.ignored", (built,), message, "drop the build")
        return substitute(image, ("image",), in_container=False).text
    if built is not None:
        message = "the container is built from a Dockerfile, but a job builds no image"
        report.add("devcontainer.build", (built,), message, BUILD_HINT, on_key=True)
    elif "dockerComposeFile" not in root:
        message = "it names no image, no Dockerfile and no compose file"
        report.add("devcontainer.no-image", (), message, 'add, for example: "image": "debian:13"')
    return None


def _entrypoint(root: Object, base: _Base, report: Report) -> tuple[str, ...]:
    """Return the service's own command, which runs in the background unless it only keeps the container alive."""
    override = root.get("overrideCommand", base.service is None)
    if not isinstance(override, bool):
        report.wrong(("overrideCommand",), override, "true or false")
        override = base.service is None
    if override:
        return ()
    if base.service is None:
        message = "the image's own entrypoint cannot be run: only an image registry knows it"
        report.add("entrypoint.unknown", ("overrideCommand",), message, "run it by postStartCommand")
        return ()
    words = (*base.service.entrypoint, *base.service.command)
    return () if idle(words) else words


def _user(
    root: Object, report: Report, substitute: Substitution, by_argument: str | None, base: _Base
) -> str | None:
    """Return the one user of a job: the user of tools, else the container's."""
    named = report.text(root, "remoteUser", ()) or report.text(root, "containerUser", ()) or by_argument
    user = named or (base.service.user if base.service else None)
    if user is None:
        if (base.image or "").startswith(LABELLED):
            message = "such an image names its user in its metadata in the registry, which is not used"
            report.add(
                "devcontainer.user", ("image",), message, 'write it here, for example: "remoteUser": "vscode"'
            )
        return None
    found = substitute(user, ("remoteUser",), in_container=False).text.strip()
    return found or None


def _without_doubles(found: tuple[Volume, ...]) -> tuple[Volume, ...]:
    """Keep one volume for each path; volumes of one name at two paths share a folder, as in Compose."""
    return tuple({volume.path.rstrip("/"): volume for volume in reversed(found)}.values())[::-1]


def _report_unsupported(root: Object, report: Report) -> None:
    """Report properties that a job does not support."""
    features = root.get("features")
    if isinstance(features, Object) and features:
        names = ", ".join(name.rpartition("/")[2] for name in list(features)[:8])
        more = ", ..." if len(features) > 8 else ""
        message = f"the features are not installed: {show(names, 200)[1:-1]}{more}"
        report.add("devcontainer.features", ("features",), message, BUILD_HINT, on_key=True)
    for key in _PRIVILEGES:
        if root.get(key):
            message = f"{key} is left out: only the runner grants privileges"
            report.add(
                "devcontainer.privilege",
                (key,),
                message,
                "set it in the runner's own configuration",
                on_key=True,
            )
    for key in ("workspaceFolder", "workspaceMount"):
        if key in root:
            message = f"{key} does not move the sources: the job chooses their path ($PROJECT_SOURCE)"
            report.add(
                "devcontainer.folder", (key,), message, "this needs no action in most cases", on_key=True
            )
    for key in root:
        if key not in PROPERTIES:
            message = f"{show(key)} is not a property of a Dev Container"
            report.add(
                "devcontainer.unknown", (key,), message, "nothing to do, or correct its name", on_key=True
            )
