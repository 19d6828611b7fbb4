"""Translates a devfile to a job's workload, and reports everything that is not carried over.

The translation follows GitLab's workspaces as far as a CI job can, and names a remedy otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wsdash.devfile.diagnostics import Diagnostic, bounded, show
from wsdash.devfile.limits import MAX_DIAGNOSTICS
from wsdash.devfile.parse.tree import Finding, KeyPath
from wsdash.devfile.resolve.variables import apply_variables
from wsdash.devfile.schema.document import Document
from wsdash.devfile.schema.models import Events
from wsdash.devfile.translation.container import (
    ENV_NAME,
    Report,
    entrypoint,
    env_vars,
    ports,
    resources,
    service,
    unsupported_in_container,
    volumes,
)
from wsdash.devfile.translation.main_component import INJECT_EDITOR, LocatedContainer, choose_main
from wsdash.devfile.translation.projects import source_of
from wsdash.devfile.translation.steps import Steps
from wsdash.workload import NO_USER, Secret, Source, Workload, names_a_user

_OVERRIDES = ("pod-overrides", "container-overrides")
_SECRETS = "wsdash/secrets"
"""An attribute of the devfile or the main component: names of variables that the provider has."""
_KNOWN_ATTRIBUTES = (INJECT_EDITOR, "overrideCommand", "controller.devfile.io/storage-type", _SECRETS)
_UNSUPPORTED_KINDS = {
    "image": ("a job builds no image", "build it elsewhere and name it as a container's image"),
    "kubernetes": ("a job has no cluster", "apply it by hand, or write a container instead"),
    "openshift": ("a job has no cluster", "apply it by hand, or write a container instead"),
}


@dataclass(frozen=True, slots=True)
class Translation:
    """The workload. `main` is the name of the component that the workspace runs in, None without a container.

    `diagnostics` name everything in the devfile that is not in `workload`, and the remedy.
    """

    workload: Workload
    diagnostics: tuple[Diagnostic, ...]
    main: str | None

    @property
    def usable(self) -> bool:
        """Whether the workload can run: no diagnostic is an error."""
        return self.main is not None and all(d.severity != "error" for d in self.diagnostics)


def translate(
    document: Document,
    *,
    source: Source | None = None,
    main: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Translation:
    """Return the workload of a devfile.

    `source` is the repository to clone, None for the devfile's own first project. `main` names the component
    that the workspace runs in, if the devfile does not decide. `variables` override the file's own, and are for
    a document that is not flat, as `flatten` replaces them. A devfile with a parent must be flattened first.
    Never raises for the document's content; an invalid part is left out and reported.
    """
    filled, diagnostics = apply_variables(document, variables)
    findings: list[Finding] = list(_unsupported(filled))

    def report(finding: Finding) -> None:
        # Hostile files may have very many; one more than is shown is enough to report the cut.
        if len(findings) <= 10 * MAX_DIAGNOSTICS:
            findings.append(finding)

    chosen, others, about_choice = choose_main(filled, main)
    findings += about_choice
    where = source_of(filled, source, report)
    workload = _workload(filled, chosen, others, where, report) if chosen else Workload(source=where)
    located = bounded([*diagnostics, *map(filled.locate, findings)])
    return Translation(workload, located, chosen.component.name if chosen else None)


def _workload(
    document: Document,
    main: LocatedContainer,
    others: tuple[LocatedContainer, ...],
    source: Source | None,
    report: Report,
) -> Workload:
    steps = Steps(document, main, report)
    events = document.devfile.events or Events()
    for placed in (main, *others):
        if names_a_user(placed.container.image):
            report(Finding("image.invalid", (*placed.path, "image"), *NO_USER))
        for finding in unsupported_in_container(placed, placed.component):
            report(finding)
    for finding in _unsupported_in_main(main):
        report(finding)
    workload = Workload(
        image=main.container.image or None,
        entrypoint=entrypoint(main, report),
        env=env_vars(main.container.env, main.path, report),
        source=source,
        pre_start=steps.event("preStart", events.pre_start, starts=True),
        post_start=steps.event("postStart", events.post_start, starts=False),
        pre_stop=steps.event("preStop", events.pre_stop, starts=False),
        services=tuple(service(placed, report) for placed in others),
        ports=ports(main, report),
        volumes=volumes(document, main, report),
        resources=resources(main.container),
        secrets=tuple(_secrets(document, main, report)),
    )
    for finding in (*_unused_commands(document, steps.used, events), *_unused_volumes(document)):
        report(finding)
    return workload


def _secrets(document: Document, main: LocatedContainer, report: Report) -> Iterator[Secret]:
    places: tuple[tuple[KeyPath, Mapping[str, object]], ...] = (
        ((), document.devfile.attributes),
        (main.path[:-1], main.component.attributes),
    )
    for path, attributes in places:
        names = attributes.get(_SECRETS, [])
        for index, name in enumerate(names if isinstance(names, list) else [names]):
            if isinstance(name, str) and ENV_NAME.fullmatch(name):
                yield Secret(name)
            else:
                here = (*path, "attributes", _SECRETS, *([index] if isinstance(names, list) else []))
                message = f"{show(name)} is left out: it is not a valid name of a variable"
                report(Finding("env.name", here, message, "list names of letters, digits and _"))


def _unsupported_in_main(main: LocatedContainer) -> Iterator[Finding]:
    container, path = main.container, main.path
    if container.source_mapping != "/projects":
        message = f"the sources are not at {show(container.source_mapping)}: the job chooses their path"
        yield Finding(
            "ignored.source-mapping",
            (*path, "sourceMapping"),
            message,
            "use $PROJECTS_ROOT or $PROJECT_SOURCE",
        )
    if container.mount_sources is False:
        message = "the workspace still has the sources, because it is the main component"
        yield Finding("ignored.mount-sources", (*path, "mountSources"), message, "drop it", True)


def _unsupported(document: Document) -> Iterator[Finding]:
    """Report parts that a job does not support, whichever component is the main one."""
    devfile = document.devfile
    if document.inherits and not document.flat:
        message = "the parent is not read, so its elements are missing"
        yield Finding("parent.unread", ("parent",), message, "flatten the devfile first", True)
    for index, component in enumerate(devfile.components):
        path: KeyPath = ("components", index)
        if component.kind in _UNSUPPORTED_KINDS:
            what, hint = _UNSUPPORTED_KINDS[component.kind]
            message = f"the component {show(component.name)} is left out: {what}"
            yield Finding(f"ignored.{component.kind}-component", path, message, hint)
        yield from _attributes(path, component.attributes)
    for index, command in enumerate(devfile.commands):
        yield from _attributes(("commands", index), command.attributes)
    yield from _attributes((), devfile.attributes)
    if devfile.metadata and devfile.metadata.architectures:
        listed = ", ".join(devfile.metadata.architectures)
        message = f"the architectures ({listed}) do not choose a runner"
        yield Finding(
            "ignored.architectures",
            ("metadata", "architectures"),
            message,
            "choose a context whose runner has one",
            True,
        )
    if devfile.metadata and devfile.metadata.global_memory_limit:
        message = "globalMemoryLimit has no effect: it is only informative"
        yield Finding(
            "ignored.metadata",
            ("metadata", "globalMemoryLimit"),
            message,
            "write memoryLimit at the container",
            True,
        )
    for index, name in enumerate(devfile.events.post_stop if devfile.events else ()):
        message = f"the command {show(name)} is not run: the job's containers do not exist after its end"
        yield Finding("ignored.post-stop", ("events", "postStop", index), message, "use preStop")


def _attributes(path: KeyPath, attributes: Mapping[str, object]) -> Iterator[Finding]:
    for key in attributes:
        here = (*path, "attributes", key)
        if key in _OVERRIDES:
            message = f"{key} is not applied: the job is not a pod"
            yield Finding("ignored.pod-overrides", here, message, "set it at the runner", True)
        elif key not in _KNOWN_ATTRIBUTES:
            yield Finding(
                "ignored.attribute",
                here,
                f"the attribute {show(key)} has no effect here",
                "this needs no action",
                True,
            )


def _unused_commands(document: Document, used: set[str], events: Events) -> Iterator[Finding]:
    after_end = {name.lower() for name in events.post_stop}
    for index, command in enumerate(document.devfile.commands):
        if command.id in used or command.id in after_end:
            continue
        code = "ignored.apply-command" if command.apply else "ignored.unused-command"
        message = f"the command {show(command.id)} is in no event, so the workspace does not run it"
        hint = "add it to events.postStart to run it at the start, or run it in the workspace's shell"
        yield Finding(code, ("commands", index), message, hint)


def _unused_volumes(document: Document) -> Iterator[Finding]:
    mounted = {m.name for c in document.devfile.components if c.container for m in c.container.volume_mounts}
    for index, component in enumerate(document.devfile.components):
        if component.volume and component.name not in mounted:
            message = f"the volume {show(component.name)} is not created: no container mounts it"
            yield Finding(
                "ignored.unused-volume", ("components", index), message, "add it to volumeMounts, or drop it"
            )
