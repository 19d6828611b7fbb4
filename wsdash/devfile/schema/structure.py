"""Validates the structure of a tree, and builds the typed model of its valid part.

Errors do not hide each other: broken elements are reported and removed, and the rest is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from wsdash.devfile.diagnostics import DevfileError, Diagnostic, show
from wsdash.devfile.limits import MAX_DIAGNOSTICS
from wsdash.devfile.parse.tree import Array, Finding, KeyPath, Object, Tree
from wsdash.devfile.schema.errors import explain, is_unused
from wsdash.devfile.schema.fields import (
    METADATA_SINCE,
    ONE_OF,
    OVERRIDES,
    REMOVED,
    VERSIONS,
    elements,
    fields_of,
    model_at,
)
from wsdash.devfile.schema.models import (
    V22,
    Devfile,
    Element,
    Endpoint,
    Group,
    Image,
    Metadata,
    Project,
    StarterProject,
)
from wsdash.devfile.schema.wording import describe

_VERSION = re.compile(
    r"[2-9]\.[0-9]+\.[0-9]+(-[0-9a-z-]+(\.[0-9a-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)
_VERSION_HINT = f"wsdash reads {', '.join(VERSIONS)}"
_SHORT_ENDPOINT = 15
"""Longest endpoint name since schema 2.2.0."""


@dataclass(frozen=True, slots=True)
class Structure:
    """The typed devfile and its findings. `dropped` holds names and ids of elements that were removed as
    broken.

    `inherits`: the file names a parent, even if its description is broken.
    """

    version: str
    devfile: Devfile
    diagnostics: tuple[Diagnostic, ...]
    dropped: frozenset[str]
    inherits: bool


def build(tree: Tree) -> Structure:
    """Return the typed devfile. Broken elements are removed from the tree itself, so that paths agree with the
    model.

    Raises `DevfileError` if the text is not a devfile of a known schema version.
    """
    root = tree.root
    if not isinstance(root, Object):
        raise _refusal(tree, Finding("schema.not-a-devfile", (), "a devfile is a mapping at its top level",
                                     "it begins with, for example: schemaVersion: 2.2.0"))  # fmt: skip
    version, findings = _version(tree, root)
    if findings:
        root["schemaVersion"] = version
        root.values_at.setdefault("schemaVersion", tree.start)
    inherits = root.get("parent") is not None
    shape = list(_shape(root, version))
    findings += [*shape, *_override_findings(tree, root, version)]
    return _structure(tree, root, version, findings, shape, inherits)


def rebuild(tree: Tree, version: str) -> Structure:
    """Return the typed devfile of a tree that was merged from trees that were already built.

    Only overrides can have broken its elements, so nothing else is reported again.
    """
    root = tree.root
    assert isinstance(root, Object)
    shape = [finding for finding in _shape(root, version) if finding.code == "schema.one-of"]
    return _structure(tree, root, version, shape, shape, "parent" in root)


def _structure(
    tree: Tree, root: Object, version: str, findings: list[Finding], shape: list[Finding], inherits: bool
) -> Structure:
    devfile, errors = _model(root)
    wrong = [error for error in errors if not _is_open(error, tree, version)]
    findings += [explain(error, tree) for error in wrong[: MAX_DIAGNOSTICS + 1]]
    # Located before any removal, after which the places are lost.
    diagnostics = tuple(finding.located(tree) for finding in findings)
    broken = [_element(finding.path) for finding in shape if finding.code == "schema.one-of"]
    dropped: set[str] = set()
    while broken or errors:
        dropped |= _remove(tree, [*broken, *map(_to_remove, errors)])
        devfile, errors = _model(root)
        broken = []
    return Structure(version, devfile, diagnostics, frozenset(dropped), inherits)


def _is_open(error: ErrorDetails, tree: Tree, version: str) -> bool:
    """Whether the version's schema does not know the metadata field, and the reference parser accepts the
    value.
    """
    path: KeyPath = error["loc"]
    if len(path) < 2 or path[0] != "metadata" or METADATA_SINCE.get(str(path[1]), version) <= version:
        return False
    return (error["type"] == "literal_error" and isinstance(tree.get(path), str)) or tree.get(path) is None


def _model(root: Object) -> tuple[Devfile, list[ErrorDetails]]:
    """Return the model, or an empty one and the errors."""
    try:
        return Devfile.model_validate(root), []
    except ValidationError as error:
        return Devfile(schemaVersion=VERSIONS[-1]), error.errors(include_url=False, include_input=False)


def _refusal(tree: Tree, finding: Finding) -> DevfileError:
    return DevfileError([finding.located(tree)])


def _version(tree: Tree, root: Object) -> tuple[str, list[Finding]]:
    """Return the version whose schema applies, and the problems of its notation.

    The part before the first `-` selects the schema (devfile/library, context/apiVersion.go).
    """
    path: KeyPath = ("schemaVersion",)
    value = root.get("schemaVersion")
    if "schemaVersion" not in root:
        if finding := _not_a_devfile(root):
            raise _refusal(tree, finding)
        return VERSIONS[-1], [Finding("schema.missing-field", (), 'the devfile needs the field "schemaVersion"',
                                      "add, for example: schemaVersion: 2.2.0")]  # fmt: skip
    if not isinstance(value, str):
        meant = next((v for v in reversed(VERSIONS) if v.startswith(f"{value}.")), VERSIONS[-1])
        return meant, [Finding("schema.wrong-type", path, f"schemaVersion must be a string, not {show(value)}",
                               f"write all three parts, for example: schemaVersion: {meant}")]  # fmt: skip
    base = value.partition("-")[0]
    if _VERSION.fullmatch(value) and base in VERSIONS:
        return base, []
    finding = Finding(
        "schema.version", path, f"no devfile schema has the version {show(value)}", _VERSION_HINT
    )
    if not re.match(r"2(\.|$)", value):
        raise _refusal(tree, finding)
    return next((v for v in reversed(VERSIONS) if v <= base), VERSIONS[-1]), [finding]


def _not_a_devfile(root: Object) -> Finding | None:
    """Recognize files that are mistaken for devfiles; None where the file looks like one."""
    api, path = str(root.get("apiVersion", "")), ("apiVersion",)
    if api.startswith("workspace.devfile.io/"):
        message = f"this is a Kubernetes resource ({show(root.get('kind', 'DevWorkspace'))}), not a devfile"
        return Finding(
            "schema.not-a-devfile", path, message, "save the content of spec.template as the devfile"
        )
    if api == "1.0.0":
        message = "this is a devfile of version 1, which is no longer read"
        return Finding(
            "schema.not-a-devfile", path, message, "rewrite it with schemaVersion 2.2.0 and containers"
        )
    if not any(key in root for key in fields_of(Devfile)):
        message = "this is not a devfile: it has neither schemaVersion nor components"
        return Finding("schema.not-a-devfile", (), message, "a devfile begins with: schemaVersion: 2.2.0")
    return None


def _shape(root: Object, version: str) -> Iterator[Finding]:
    """Check the rules that pydantic cannot express: alternatives, newer fields, and limits that changed."""
    for path, value, model in elements(root):
        if choices := ONE_OF.get(model):
            yield from _one_of(path, value, model, choices, version)
        if version < VERSIONS[4]:
            yield from _newer(path, value, model, version)
        if model is Metadata and version >= V22.version:
            yield from _repeated(path, value)
        name = value.get("name")
        if (
            model is Endpoint
            and version >= V22.version
            and isinstance(name, str)
            and _SHORT_ENDPOINT < len(name) <= 63
        ):
            message = (
                f"the endpoint name {show(name)} has {len(name)} characters, {_SHORT_ENDPOINT} are allowed"
            )
            yield Finding("schema.too-long", (*path, "name"), message)


def _one_of(
    path: KeyPath, value: Object, model: type[Element], choices: tuple[str, ...], version: str
) -> Iterator[Finding]:
    if "github" in value and model in (Project, StarterProject) and is_unused("github", version):
        choices = (*choices, "github")
    present = [choice for choice in choices if choice in value]
    if len(present) == 1:
        return
    listed = ", ".join(choices)
    who = describe(path, value)
    if present:
        message = f"{who} has {' and '.join(present)}, but may have only one of them"
        yield Finding("schema.one-of", path, message, "split it into two elements")
        return
    gone = next((REMOVED[model][key] for key in value if key in REMOVED.get(model, {})), "")
    yield Finding("schema.one-of", path, f"{who} needs one of: {listed}", gone)


def _newer(path: KeyPath, value: Object, model: type[Element], version: str) -> Iterator[Finding]:
    fields = fields_of(model)
    for key in value:
        info = fields.get(key)
        if info and info.since and info.since > version:
            message = f"the field {key} was added in schema {info.since}; this file says {version}"
            yield Finding(
                "schema.newer-field", (*path, key), message, f"write schemaVersion: {info.since}", True
            )
    if model is Group and value.get("kind") == "deploy" and version < V22.version:
        message = f"the kind deploy was added in schema {V22.version}; this file says {version}"
        yield Finding("schema.newer-field", (*path, "kind"), message, f"write schemaVersion: {V22.version}")


def _repeated(path: KeyPath, metadata: Object) -> Iterator[Finding]:
    architectures = metadata.get("architectures")
    seen: set[str] = set()
    for index, name in enumerate(architectures if isinstance(architectures, Array) else ()):
        if isinstance(name, str) and name in seen:
            where = (*path, "architectures", index)
            yield Finding("schema.repeated-value", where, f"{show(name)} is repeated in architectures")
        seen.add(str(name))


def _override_findings(tree: Tree, root: Object, version: str) -> list[Finding]:
    """Find errors in a parent's overrides, where only the type and the name or id are required."""
    findings: list[Finding] = []
    parent = root.get("parent")
    for key, model in OVERRIDES.items():
        items = parent.get(key) if isinstance(parent, Object) else None
        if not isinstance(items, Array):
            continue
        for path, value, inner in elements(items, model, ("parent", key)):
            choices = ONE_OF.get(inner, ())
            if inner is model and not value.keys() & {*choices, *REMOVED[inner]}:
                message = f"the override of {describe(path, value)} does not repeat its type"
                hint = f"add, as it is in the parent, one of: {', '.join(choices)}; an empty one ({{}}) is enough"
                findings.append(Finding("schema.override-type", path, message, hint))
            elif choices:
                findings += _one_of(path, value, inner, choices, version)
            if inner is Image and ("dockerfile" in value) == ("autoBuild" in value):
                message = (
                    f"the override of {describe(path[:-1], tree.get(path[:-1]))} does not have exactly one of "
                    "dockerfile and autoBuild"
                )
                hint = "devfile/library refuses it"
                findings.append(Finding("schema.override-type", path, message, hint))
            findings += _newer(path, value, inner, version) if version < VERSIONS[4] else ()
        try:
            TypeAdapter(tuple[model, ...]).validate_python(items)  # type: ignore[valid-type]
        except ValidationError as error:
            for e in error.errors(include_url=False, include_input=False)[:MAX_DIAGNOSTICS]:
                identifies = len(e["loc"]) == 2 and e["loc"][-1] in ("name", "id")
                if e["type"] != "missing" or identifies:
                    findings.append(explain(e, tree, ("parent", key), model))
    return findings


def _to_remove(error: ErrorDetails) -> KeyPath:
    """Return the path to remove so that the rest can be read: an optional field, else the element around it."""
    path: KeyPath = error["loc"]
    model = model_at(path[:-1]) if path and isinstance(path[-1], str) else None
    info = fields_of(model).get(str(path[-1])) if model else None
    chosen = model is not None and path[-1] in ONE_OF.get(model, ())
    needed = chosen or error["type"] == "missing" or (info is not None and info.required)
    return _element(path[:-1]) if needed else path


def _element(path: KeyPath) -> KeyPath:
    """Return the innermost list item around the value; its top-level field where there is none."""
    while len(path) > 1 and not isinstance(path[-1], int):
        path = path[:-1]
    return path


def _remove(tree: Tree, paths: Iterable[KeyPath]) -> set[str]:
    """Remove values from the tree; return the names and ids that were removed with them."""
    names: set[str] = set()
    holders: dict[int, tuple[Object | Array, set[str | int]]] = {}
    for path in paths:
        value, holder = tree.get(path), tree.get(path[:-1])
        if isinstance(value, Object):
            names |= {name for key in ("name", "id") if isinstance(name := value.get(key), str)}
        if isinstance(holder, Object | Array):
            # Because of aliases, several paths may lead to the same holder.
            holders.setdefault(id(holder), (holder, set()))[1].add(path[-1])
    for holder, steps in holders.values():
        if isinstance(holder, Object):
            for step in steps:
                holder.pop(str(step), None)
        else:
            for step in sorted((s for s in steps if isinstance(s, int)), reverse=True):
                del holder[step], holder.items_at[step]
    return names
