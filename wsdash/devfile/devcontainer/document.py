"""A parsed `devcontainer.json`: its text, and its values with their places."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from wsdash.devfile.diagnostics import DevfileError, Diagnostic
from wsdash.devfile.parse.json_reader import read_json
from wsdash.devfile.parse.reader import decode
from wsdash.devfile.parse.tree import START, Finding, Object, Tree, diagnostic


@dataclass(frozen=True, slots=True)
class DevContainer:
    """A parsed `devcontainer.json`. `file` is its path from the repository's root; paths in it are relative to
    its folder.
    """

    file: str
    text: str
    tree: Tree
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def root(self) -> Object:
        """The mapping at the top level."""
        assert isinstance(self.tree.root, Object)
        return self.tree.root


def is_devcontainer(file: str) -> bool:
    """Whether a file of this name is parsed as a Dev Container, not as a devfile."""
    return PurePosixPath(file).name.endswith("devcontainer.json")


def load_devcontainer(text: str | bytes, *, file: str = ".devcontainer/devcontainer.json") -> DevContainer:
    """Parse JSON with comments and trailing commas, as the reference implementation does.

    Raises `DevfileError` for other text, or a top level that is not a mapping.
    """
    try:
        decoded = decode(text)
        tree, diagnostics = read_json(decoded, comments=True)
        if not isinstance(tree.root, Object):
            message = "a devcontainer.json must be a mapping at its top level"
            hint = 'it begins with { and has, for example, an "image"'
            raise DevfileError([diagnostic("devcontainer.not-one", START, message, hint)])
    except DevfileError as error:
        raise DevfileError(error.diagnostics, file) from None
    # With two equal keys, editors and the reference implementation use the last one.
    mild = [
        Finding("devcontainer.type", (), d.message, d.hint).located(tree)
        if d.code == "yaml.duplicate-key"
        else d
        for d in diagnostics
    ]
    placed = [
        Diagnostic(d.line, d.column, new.severity, new.code, new.message, new.hint)
        for d, new in zip(diagnostics, mild, strict=True)
    ]
    return DevContainer(file, decoded, tree, tuple(placed))
