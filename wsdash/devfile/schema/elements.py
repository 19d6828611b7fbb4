"""Queries of a document that rules and translation share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import KeyPath
from wsdash.devfile.schema.document import Document
from wsdash.devfile.schema.models import Component, Container, Endpoint

RESERVED_ENV = ("PROJECTS_ROOT", "PROJECT_SOURCE")


def containers(document: Document) -> Iterator[tuple[KeyPath, Component, Container]]:
    """Yield the path, component and container of each container component."""
    for index, component in enumerate(document.devfile.components):
        if component.container:
            yield ("components", index, "container"), component, component.container


def endpoints(document: Document) -> Iterator[tuple[KeyPath, Component, Endpoint]]:
    """Return all endpoints, including those of Kubernetes and OpenShift components."""
    for index, component in enumerate(document.devfile.components):
        body = component.container or component.kubernetes or component.openshift
        for place, endpoint in enumerate(body.endpoints if body else ()):
            yield ("components", index, component.kind, "endpoints", place), component, endpoint


def is_unknown(document: Document, name: str) -> bool:
    """Whether a missing element exists nowhere: neither in an unread parent nor among the broken elements."""
    return not document.inherits and name not in document.dropped and name.lower() not in document.dropped


def names_known(kind: str, names: Iterable[str]) -> str:
    """List up to eight known names for a hint: `known commands: build, run`."""
    listed = sorted(names)
    more = ", ..." if len(listed) > 8 else ""
    return (
        f"known {kind}: {', '.join(show(n)[1:-1] for n in listed[:8])}{more}"
        if listed
        else f"there are no {kind}"
    )
