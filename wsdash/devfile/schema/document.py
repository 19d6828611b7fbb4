"""A parsed devfile: its text, its typed content, and the diagnostics of its structure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from wsdash.devfile.diagnostics import DevfileError, Diagnostic, bounded
from wsdash.devfile.parse.reader import decode, read
from wsdash.devfile.parse.tree import Finding, Mark, Tree

if TYPE_CHECKING:
    from wsdash.devfile.schema.models import Devfile


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed devfile. `version` is the schema that applies; `devfile` holds the valid part of the content.

    `diagnostics` are about text and structure; `check` adds those of the rules. `dropped` are names and ids of
    elements that are too broken to be in `devfile`; `inherits`: the file names a parent that is not merged into
    it. `parents` holds the texts of merged parents, by file. `flat`: the document went through `flatten`, so
    its variables are replaced.
    """

    file: str
    text: str
    version: str
    devfile: Devfile
    tree: Tree
    diagnostics: tuple[Diagnostic, ...] = ()
    dropped: frozenset[str] = frozenset()
    inherits: bool = False
    parents: Mapping[str, str] = field(default_factory=dict)
    flat: bool = False

    def position(self, *path: str | int) -> Mark:
        """Return the start of the value at a path: `document.position("components", 0, "name")`."""
        return self.tree.position(path)

    def key_position(self, *path: str | int) -> Mark:
        """Return the start of the key at the end of the path."""
        return self.tree.key_position(path)

    def locate(self, finding: Finding) -> Diagnostic:
        """Return the finding as a diagnostic with its place in this document."""
        return finding.located(self.tree)

    @property
    def broken(self) -> bool:
        """Whether text or structure has an error."""
        return any(d.severity == "error" for d in self.diagnostics)


def load(text: str | bytes, *, file: str = "devfile.yaml") -> Document:
    """Read a devfile, schema 2.0.0 to 2.3.0, as YAML, or as JSON if its first character is `{`.

    Problems that leave usable parts are in the document's `diagnostics`; `file` is the name for messages.
    Raises `DevfileError` if no part is usable: no text, invalid YAML, too large, or not a devfile of these versions.
    """
    found: list[Diagnostic] = []
    try:
        decoded = decode(text)
        tree, found = read(decoded)
        from wsdash.devfile.schema.structure import build

        built = build(tree)
    except DevfileError as error:
        raise DevfileError(bounded([*found, *error.diagnostics]), file) from None
    diagnostics = bounded([*found, *built.diagnostics])
    return Document(
        file, decoded, built.version, built.devfile, tree, diagnostics, built.dropped, built.inherits
    )


def with_variables(document: Document, values: Mapping[str, str]) -> Document:
    """Return the document with these variables added; they override its own of the same name."""
    merged = {**document.devfile.variables, **values}
    return replace(document, devfile=document.devfile.model_copy(update={"variables": merged}))
