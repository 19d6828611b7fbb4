"""Translates pydantic's validation errors to findings, each at the path of its value."""

from __future__ import annotations

import difflib

from pydantic_core import ErrorDetails

from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import Finding, KeyPath, Tree, Value
from wsdash.devfile.schema.fields import REMOVED, fields_of, model_at
from wsdash.devfile.schema.models import Devfile, Element
from wsdash.devfile.schema.wording import describe, kind_of, owner

_WANTED = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "an integer",
    "less_than": "an integer of at most 64 bits",
    "greater_than_equal": "an integer of at most 64 bits",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "null": "a value",
}
_NAME_HINT = "use lower-case letters, digits and dashes; begin and end with a letter or digit"
_LONGEST_GUESS = 40


def explain(error: ErrorDetails, tree: Tree, prefix: KeyPath = (), root: type[Element] = Devfile) -> Finding:
    """Return the finding for a pydantic error. `prefix` is the path of the validated value, `root` its model."""
    kind = error["type"]
    path: KeyPath = (*prefix, *error["loc"])
    value = tree.get(path)
    if kind == "missing":
        who = describe(path[:-1], tree.get(path[:-1]))
        return Finding("schema.missing-field", path[:-1], f"{who} needs the field {show(path[-1])}")
    if kind == "extra_forbidden":
        return _unknown(path, model_at(error["loc"][:-1], root), str(tree.get(("schemaVersion",))))
    what = f"{_label(path)}{owner(tree, path)}"
    context = error.get("ctx", {})
    if kind == "literal_error":
        allowed = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
        hint = _nearest(value, allowed.split(", "))
        return Finding(
            "schema.wrong-value", path, f"{what} must be one of {allowed}, not {kind_of(value)}", hint
        )
    if kind == "string_pattern_mismatch":
        return _pattern(path, what, value)
    if kind == "string_too_long":
        message = f"{what} is longer than the {context.get('max_length')} characters that a name may have"
        return Finding("schema.too-long", path, message)
    wanted = _WANTED.get(kind, "another value")
    return Finding(
        "schema.wrong-type", path, f"{what} must be {wanted}, not {kind_of(value)}", _type_hint(kind, value)
    )


def _label(path: KeyPath) -> str:
    last = path[-1]
    return f"item {last + 1} of {path[-2]}" if isinstance(last, int) and len(path) > 1 else show(last)[1:-1]


def _pattern(path: KeyPath, what: str, value: Value) -> Finding:
    if path[-1] == "version":
        message = f"{what} must be three numbers with dots between them, not {kind_of(value)}"
        return Finding("schema.wrong-value", path, message, "for example: 1.0.0")
    return Finding("schema.bad-name", path, f"{what} is not a valid name: {show(value)}", _NAME_HINT)


def _unknown(path: KeyPath, model: type[Element] | None, version: str) -> Finding:
    key = str(path[-1])
    if model and (remedy := REMOVED.get(model, {}).get(key)):
        code = "schema.unused-field" if is_unused(key, version) else "schema.removed-field"
        return Finding(code, path, f"the field {key} is not read", remedy, True)
    known = fields_of(model) if model else {}
    hint = _nearest(key, list(known))
    if not hint:
        inner = next((name for name, f in known.items() if f.model and key in fields_of(f.model)), None)
        hint = f"did you mean {inner}.{key}?" if inner else ""
    if not hint and known:
        hint = "known here: " + ", ".join(known)
    return Finding(
        "schema.unknown-field", path, f"the field {show(key)} is unknown here and is ignored", hint, True
    )


def is_unused(key: str, version: str) -> bool:
    """Whether that version's schema still has the field but the reference parser ignores it."""
    return key in ("github", "sparseCheckoutDirs") and version.partition("-")[0] == "2.0.0"


def _nearest(value: Value, known: list[str]) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_GUESS:
        return ""
    by_case = {name.lower(): name for name in known}
    found = difflib.get_close_matches(value.lower(), by_case, 1)
    return f"did you mean {by_case[found[0]]}?" if found else ""


def _type_hint(kind: str, value: Value) -> str:
    if kind == "string_type" and isinstance(value, bool | int | float):
        return "put the value in quotes"
    if kind in ("bool_type", "int_type") and isinstance(value, str):
        return (
            "write the value without quotes" if kind == "int_type" else "write true or false, without quotes"
        )
    if value is None:
        return "give it a value, or drop the key"
    if kind == "string_type" and value is not None and not isinstance(value, str):
        return "quote a value that begins with { or [, such as '{{variable}}'"
    return ""
