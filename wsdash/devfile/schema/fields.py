"""Tables of the models' fields, for walking a tree along with its models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import get_args, get_origin

from pydantic.fields import FieldInfo as PydanticField

from wsdash.devfile.parse.tree import Array, KeyPath, Object, Value
from wsdash.devfile.schema.models import (
    Command,
    Component,
    Devfile,
    Dockerfile,
    Element,
    Manifest,
    Parent,
    Project,
    Since,
    StarterProject,
    Template,
)

VERSIONS = ("2.0.0", "2.1.0", "2.2.0", "2.2.1", "2.2.2", "2.3.0")
"""Every version that has a schema (devfile/library, pkg/devfile/parser/data/versions.go)."""

ONE_OF: Mapping[type[Element], tuple[str, ...]] = {
    Component: ("container", "volume", "kubernetes", "openshift", "image"),
    Command: ("exec", "apply", "composite"),
    Project: ("git", "zip"),
    StarterProject: ("git", "zip"),
    Manifest: ("uri", "inlined"),
    Dockerfile: ("uri", "devfileRegistry", "git"),
    Parent: ("uri", "id", "kubernetes"),
}
"""Elements that must have exactly one of these fields (`oneOf` in the schema)."""

OVERRIDES: Mapping[str, type[Element]] = {
    "components": Component,
    "commands": Command,
    "projects": Project,
    "starterProjects": StarterProject,
    "dependentProjects": Project,
}
"""The lists of a parent's overrides. Inside them only the name or id is required."""

_NO_PLUGIN = "schema 2.1.0 removed plugins: write the plugin's components yourself"
_NO_VSCODE = "schema 2.1.0 removed it: write the command as exec"
_CUSTOM = "it belongs to the Kubernetes resource, not to a devfile"
_GITHUB = "schema 2.1.0 removed it: write git instead"
_SPARSE = "schema 2.1.0 removed it: the whole repository is cloned"
REMOVED: Mapping[type[Element], Mapping[str, str]] = {
    Component: {"plugin": _NO_PLUGIN, "custom": _CUSTOM},
    Command: {"vscodeTask": _NO_VSCODE, "vscodeLaunch": _NO_VSCODE, "custom": _CUSTOM},
    Project: {"github": _GITHUB, "sparseCheckoutDirs": _SPARSE, "custom": _CUSTOM},
    StarterProject: {"github": _GITHUB, "sparseCheckoutDirs": _SPARSE, "custom": _CUSTOM},
}
"""Fields that were removed or belong to other formats, with a replacement."""

METADATA_SINCE: Mapping[str, str] = {
    "language": "2.1.0",
    "projectType": "2.1.0",
    "website": "2.1.0",
    "architectures": "2.2.0",
    "provider": "2.2.0",
    "supportUrl": "2.2.0",
}
"""Metadata is open, so older schemas accept these fields with any values; only their types must be right."""


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One field: its attribute in the model, the model of its values, and its marks."""

    attribute: str
    model: type[Element] | None
    many: bool
    required: bool
    since: str | None
    template: Template | None


@cache
def fields_of(model: type[Element]) -> Mapping[str, FieldInfo]:
    """Return the fields of a model by their names in the file."""
    return {field.alias or name: _info(name, field) for name, field in model.model_fields.items()}


def _info(name: str, field: PydanticField) -> FieldInfo:
    since = next((mark.version for mark in field.metadata if isinstance(mark, Since)), None)
    template = next((mark for mark in field.metadata if isinstance(mark, Template)), None)
    many = get_origin(field.annotation) is tuple
    return FieldInfo(name, _model_in(field.annotation), many, field.is_required(), since, template)


def _model_in(annotation: object) -> type[Element] | None:
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation if issubclass(annotation, Element) else None
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def model_at(path: KeyPath, root: type[Element] = Devfile) -> type[Element] | None:
    """Return the model of the mapping at `path`, None if the schema has none for it."""
    model: type[Element] | None = root
    for step in path:
        if isinstance(step, int):
            continue
        info = fields_of(model).get(step) if model else None
        model = info.model if info else None
    return model


def elements(
    value: Value, model: type[Element] = Devfile, path: KeyPath = ()
) -> Iterator[tuple[KeyPath, Object, type[Element]]]:
    """Yield every mapping of the tree that has a model, outer ones first."""
    if isinstance(value, Array):
        for index, item in enumerate(value):
            yield from elements(item, model, (*path, index))
    elif isinstance(value, Object):
        yield path, value, model
        fields = fields_of(model)
        for key, item in value.items():
            info = fields.get(key)
            if info and info.model and isinstance(item, Object | Array):
                yield from elements(item, info.model, (*path, key))
