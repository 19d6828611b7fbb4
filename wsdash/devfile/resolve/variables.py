"""Replaces `{{name}}` references in the fields that allow them.

Source: devfile/api, pkg/validation/variables. One pass: substituted text is not scanned again. A document of
schema 2.0.0 has no variables and is not changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from wsdash.devfile.diagnostics import Diagnostic, show
from wsdash.devfile.limits import MAX_BYTES
from wsdash.devfile.parse.tree import Finding, KeyPath
from wsdash.devfile.schema.document import Document
from wsdash.devfile.schema.fields import fields_of
from wsdash.devfile.schema.models import Container, Element

_BLANKS = " \t\n\f\r"
_LONGEST_NAME = 200
"""Braces further apart are not a reference; this keeps the search linear on hostile text."""

_E = TypeVar("_E", bound=Element)


class TooLarge(ValueError):
    """The replacement would make a text longer than allowed."""


def substitute(text: str, values: Mapping[str, str], limit: int = MAX_BYTES) -> tuple[str, tuple[str, ...]]:
    """Return the text with its references replaced, and the names without a value (which stay as written).

    Raises `TooLarge` if the values add more than `limit` characters.

    >>> substitute("a-{{ x }}-{{y}}", {"x": "{{y}}"})
    ('a-{{y}}-{{y}}', ('y',))
    """
    parts: list[str] = []
    unknown: list[str] = []
    copied = at = end = 0
    while (start := text.find("{{", at)) >= 0:
        end = end if end >= start + 2 else text.find("}}", start + 2)
        if end < 0:
            break
        name = text[start + 2 : end].strip(_BLANKS) if end - start <= _LONGEST_NAME else "\n"
        if "\n" in name:
            # No reference begins here: `.` matches no line break.
            at = max(start + 1, end - _LONGEST_NAME)
            continue
        at = end + 2
        if name in values:
            limit -= len(values[name])
            if limit < 0:
                raise TooLarge
            parts += text[copied:start], values[name]
            copied = at
        else:
            unknown.append(name)
    return "".join([*parts, text[copied:]]), tuple(unknown)


def apply_variables(
    document: Document, extra: Mapping[str, str] | None = None
) -> tuple[Document, list[Diagnostic]]:
    """Replace the document's variables; return it with a diagnostic for each reference without a value.

    `extra` values override the file's own. The variables of a flat document are already replaced.
    """
    if document.flat:
        return document, []
    # A brace can also be written as an escape in a quoted string.
    texts = (document.text, *document.parents.values())
    if document.version == "2.0.0" or not any("{{" in text or "\\" in text for text in texts):
        return document, []
    work = _Work({**document.devfile.variables, **(extra or {})})
    devfile = work.element(document.devfile, ())
    return replace(document, devfile=devfile), [document.locate(finding) for finding in work.findings]


class _Work:
    def __init__(self, values: Mapping[str, str]) -> None:
        self.findings: list[Finding] = []
        self._values = values
        self._rate_limiter = MAX_BYTES

    def element(self, element: _E, path: KeyPath) -> _E:
        changed: dict[str, object] = {}
        for key, field in fields_of(type(element)).items():
            value = getattr(element, field.attribute)
            if not value or field.attribute not in element.model_fields_set:
                continue
            at = (*path, key)
            if field.template:
                is_image = isinstance(element, Container) and key == "image"
                new = self._texts(
                    value, at, "variable.undefined-in-image" if is_image else "variable.undefined"
                )
                if new != value and field.template.by_us:
                    self.findings.append(_cpu(at, key))
            elif field.model and field.many:
                new = tuple(self.element(item, (*at, index)) for index, item in enumerate(value))
                new = value if all(a is b for a, b in zip(new, value, strict=True)) else new
            elif field.model:
                new = self.element(value, at)
            else:
                continue
            if new is not value:
                changed[field.attribute] = new
        return element.model_copy(update=changed) if changed else element

    def _texts(self, value: object, path: KeyPath, code: str) -> object:
        if isinstance(value, tuple):
            return tuple(self._text(item, (*path, index), code) for index, item in enumerate(value))
        if isinstance(value, dict):
            return {
                self._text(key, (*path, key), code, on_key=True): self._text(item, (*path, key), code)
                for key, item in value.items()
            }
        return self._text(value, path, code) if isinstance(value, str) else value

    def _text(self, text: str, path: KeyPath, code: str, *, on_key: bool = False) -> str:
        if "{{" not in text:
            return text
        try:
            new, unknown = substitute(text, self._values, self._rate_limiter)
        except TooLarge:
            message = f"the values of variables enlarge the devfile by more than {MAX_BYTES} characters"
            self.findings.append(Finding("variable.too-large", path, message, "use shorter values"))
            return text
        self._rate_limiter -= max(0, len(new) - len(text))
        for name in dict.fromkeys(unknown):
            message = f"the variable {show(name)} has no value; the text stays as it is"
            hint = "add it under variables, or ignore this if the braces are part of the text"
            self.findings.append(Finding(code, path, message, hint, on_key))
        return new


def _cpu(path: KeyPath, key: str) -> Finding:
    message = f"a variable in {key} is replaced here; other devfile tools leave it and then refuse the value"
    return Finding("variable.cpu", path, message, "write the quantity itself if others read the file too")
