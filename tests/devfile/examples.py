"""Small devfiles for the tests, and what the tests ask of them."""

from __future__ import annotations

from textwrap import dedent

from wsdash.devfile import Diagnostic, Document, Translation, check, load, translate
from wsdash.workload import Source

CONTAINER = """
  - name: dev
    container:
      image: debian
"""


def devfile(body: str = "", *, components: str = "", container: str = "", version: str = "2.2.0") -> str:
    """A devfile with one container `dev`. `container` adds fields to it, `components` more components."""
    fields = "".join(f"      {line}\n" for line in dedent(container).strip().splitlines())
    more = "".join(f"  {line}\n" for line in dedent(components).strip().splitlines())
    return f"schemaVersion: {version}\ncomponents:{CONTAINER}{fields}{more}{dedent(body)}"


def remarks(text: str | bytes) -> list[Diagnostic]:
    return list(check(text).diagnostics)


def codes(text: str | bytes) -> list[str]:
    return [d.code for d in remarks(text)]


def places(text: str | bytes) -> list[tuple[int, int, str]]:
    return [(d.line, d.column, d.code) for d in remarks(text)]


def column_of(text: str, part: str) -> tuple[int, int]:
    """The line and column at which `part` first stands in the text."""
    at = text.index(part)
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1


def translated(text: str, *, source: Source | None = None, main: str | None = None) -> Translation:
    return translate(load(text), source=source, main=main)


def unsupported_parts(translation: Translation) -> list[str]:
    return [d.code for d in translation.diagnostics]


def loaded(text: str) -> Document:
    return load(text)


RUN = "{id: run, exec: {component: dev, commandLine: x}}"


def commands(*lines: str, events: str = "") -> str:
    listed = "".join(f"- {line}\n" for line in lines)
    return devfile(f"commands:\n{listed}" + (f"events: {events}\n" if events else ""))


def grouped(name: str, group: str) -> str:
    return f"{{id: {name}, exec: {{component: dev, commandLine: x, group: {{{group}}}}}}}"
