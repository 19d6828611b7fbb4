"""Checks a devfile: reports all of its problems at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from wsdash.devfile.codes import SEVERITIES
from wsdash.devfile.diagnostics import DevfileError, Diagnostic, Profile, Verdict, bounded
from wsdash.devfile.limits import MAX_DIAGNOSTICS
from wsdash.devfile.schema.document import Document, load

if TYPE_CHECKING:
    from wsdash.devfile.resolve.flatten import FetchParent, ReadParent

PROFILES: tuple[Profile, ...] = tuple(SEVERITIES)
"""The profiles that `check` knows.

`lenient` accepts what wsdash can run, `library` what the reference parser (devfile/library) accepts, `gitlab` what
GitLab Workspaces does.
"""

_NOT_FETCHED = ("parent.remote", "parent.unsupported")


def check(
    source: str | bytes | Document,
    *,
    file: str = "devfile.yaml",
    profile: Profile = "lenient",
    variables: Mapping[str, str] | None = None,
    read_parent: ReadParent | None = None,
    fetch_parent: FetchParent | None = None,
    path: str | None = None,
) -> Verdict:
    """Return the verdict on a devfile, with every diagnostic in the order of the text.

    `variables` are given from outside; they override the file's own. `read_parent`, `fetch_parent` and `path`
    are those of `flatten`; without them, a parent is not read, and missing elements are not errors.
    Never raises for the text's content. Raises `ValueError` for a profile that is not in `PROFILES`.
    """
    if profile not in PROFILES:
        raise ValueError(f"there is no profile {profile!r}; known: {', '.join(PROFILES)}")
    try:
        document = source if isinstance(source, Document) else load(source, file=file)
    except DevfileError as error:
        return _verdict(file, profile, error.diagnostics)
    found: list[Diagnostic] = []
    if profile == "gitlab":
        found += _gitlab(document, variables)
    elif read_parent is not None:
        document = _flat(document, read_parent, fetch_parent, path, variables)
    return _verdict(document.file, profile, [*document.diagnostics, *found, *_rules(document, variables)])


def _verdict(file: str, profile: Profile, found: Iterable[Diagnostic]) -> Verdict:
    severities = SEVERITIES[profile]
    diagnostics = bounded(replace(remark, severity=severities[remark.code]) for remark in found)
    rejected = any(remark.severity == "error" for remark in diagnostics)
    return Verdict(file, "reject" if rejected else "accept", diagnostics)


def _flat(
    document: Document,
    read_parent: ReadParent,
    fetch_parent: FetchParent | None,
    path: str | None,
    variables: Mapping[str, str] | None,
) -> Document:
    """Return the document with its parents; a parent that needs fetching is left to a rule, and is not an error."""
    from wsdash.devfile.resolve.flatten import flatten

    flat = flatten(
        document, read_parent=read_parent, fetch_parent=fetch_parent, path=path, variables=variables
    )
    if fetch_parent is not None:
        return flat
    return replace(flat, diagnostics=tuple(d for d in flat.diagnostics if d.code not in _NOT_FETCHED))


def _gitlab(document: Document, variables: Mapping[str, str] | None) -> list[Diagnostic]:
    """Apply GitLab's restrictions before parents are read, because GitLab supports none."""
    from wsdash.devfile.resolve.variables import apply_variables
    from wsdash.devfile.validate.gitlab_rules import restrictions, yaml_subset

    filled, _ = apply_variables(document, variables)
    found = list(islice(yaml_subset(document.text), MAX_DIAGNOSTICS + 1))
    for one in (document, filled):
        found += map(one.locate, islice(restrictions(one), MAX_DIAGNOSTICS + 1))
    return found


def _rules(document: Document, variables: Mapping[str, str] | None) -> list[Diagnostic]:
    from wsdash.devfile.resolve.variables import apply_variables
    from wsdash.devfile.validate.rules import RULES

    filled, diagnostics = apply_variables(document, variables)
    for rule in RULES:
        # One more than is ever shown, so that the cut is noticed and counts as an error.
        diagnostics += map(filled.locate, islice(rule(filled), MAX_DIAGNOSTICS + 1))
    return diagnostics
