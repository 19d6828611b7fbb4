"""Everything that is wrong with a devfile, at once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from wsdash.devfile.diagnostics import DevfileError, Diagnostic, Profile, Verdict, bounded
from wsdash.devfile.document import Document, load
from wsdash.devfile.limits import MAX_DIAGNOSTICS

PROFILES: tuple[Profile, ...] = ("lenient",)
"""The profiles that `check` knows. `lenient` accepts what wsdash can run."""


def check(
    source: str | bytes | Document,
    *,
    file: str = "devfile.yaml",
    profile: Profile = "lenient",
    variables: Mapping[str, str] | None = None,
) -> Verdict:
    """The verdict on a devfile, with every remark in the order of the text.

    `variables` are values given from outside; they count more than the file's own. Never raises for what the
    text holds. Raises `ValueError` for a profile that is not in `PROFILES`.
    """
    if profile not in PROFILES:
        known = ", ".join(PROFILES)
        raise ValueError(f"the profile {profile!r} is not available in this version; available: {known}")
    try:
        document = source if isinstance(source, Document) else load(source, file=file)
    except DevfileError as error:
        return Verdict(file, "reject", error.diagnostics)
    diagnostics = bounded([*document.diagnostics, *_rules(document, variables)])
    rejected = any(d.severity == "error" for d in diagnostics)
    return Verdict(document.file, "reject" if rejected else "accept", diagnostics)


def _rules(document: Document, variables: Mapping[str, str] | None) -> list[Diagnostic]:
    from wsdash.devfile.rules import RULES
    from wsdash.devfile.variables import apply_variables

    filled, diagnostics = apply_variables(document, variables)
    for rule in RULES:
        # One more than is ever shown, so that the cut is noticed and counts as an error.
        diagnostics += map(filled.locate, islice(rule(filled), MAX_DIAGNOSTICS + 1))
    return diagnostics
