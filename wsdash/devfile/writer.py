"""Writes a devfile as text: YAML for people, JSON for programs. The text reads back as the same devfile."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml

from wsdash.devfile.parse.scalars import resolve
from wsdash.devfile.schema.document import Document

Edit = Callable[[dict[str, Any]], dict[str, Any]]
"""Returns a changed copy of the devfile's content before it is written."""


def to_json(document: Document, edit: Edit | None = None) -> str:
    """Return the devfile as JSON in ASCII, its keys in the schema's order."""
    return json.dumps(_plain(document, edit), indent=2, allow_nan=False) + "\n"


def to_yaml(document: Document, edit: Edit | None = None) -> str:
    """Return the devfile as YAML: keys in the schema's order, texts of several lines as blocks, no aliases."""
    text: str = yaml.dump(
        _plain(document, edit), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_NO_FOLDING
    )
    return text


def _plain(document: Document, edit: Edit | None) -> dict[str, Any]:
    """Return the fields that the file sets, without defaults."""
    plain = document.devfile.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return edit(plain) if edit else plain


_NO_FOLDING = 1_000_000


class _Dumper(yaml.SafeDumper):
    """Dumps YAML for readers that follow Go's variant of YAML 1.1, which differs from PyYAML's."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists below their key."""
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))


def _style(text: str) -> str | None:
    """Choose a block for several lines, escapes for invisible characters, quotes if the type would change."""
    if not text.replace("\n", "").replace("\t", "").isprintable():
        return '"'
    if "\n" in text.rstrip("\n"):
        return "|"
    return None if isinstance(resolve(text), str) else "'"


_Dumper.add_representer(str, _text)
