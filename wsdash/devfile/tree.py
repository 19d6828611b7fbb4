"""The values of a document, each knowing where in the text it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, Union

from wsdash.devfile.codes import LENIENT
from wsdash.devfile.diagnostics import Diagnostic

Path: TypeAlias = tuple[str | int, ...]
"""The way to a value from the document's root: `("components", 0, "container", "image")`."""

Value: TypeAlias = Union[str, int, float, bool, "Object", "Array", None]


class Mark(NamedTuple):
    """A place in the text, both counted from 1."""

    line: int
    column: int


START = Mark(1, 1)


class Object(dict[str, Value]):
    """A mapping that keeps the places of its keys and values."""

    __slots__ = ("keys_at", "values_at")

    def __init__(self) -> None:
        self.keys_at: dict[str, Mark] = {}
        self.values_at: dict[str, Mark] = {}


class Array(list[Value]):
    """A list that keeps the places of its items."""

    __slots__ = ("items_at",)

    def __init__(self) -> None:
        self.items_at: list[Mark] = []


@dataclass(frozen=True, slots=True)
class Tree:
    """A parsed document before it is given a meaning."""

    root: Value
    start: Mark = START

    def position(self, path: Path) -> Mark:
        """Where the value at `path` begins; where it is absent, its nearest surrounding value."""
        mark = self.start
        for node, step in self._walk(path):
            if isinstance(node, Object) and isinstance(step, str) and step in node.values_at:
                mark = node.values_at[step]
            elif isinstance(node, Array) and isinstance(step, int) and 0 <= step < len(node.items_at):
                mark = node.items_at[step]
        return mark

    def key_position(self, path: Path) -> Mark:
        """Where the key that `path` ends with begins; the value's place where it is an item of a list."""
        node = self.get(path[:-1])
        if path and isinstance(node, Object) and path[-1] in node.keys_at:
            return node.keys_at[str(path[-1])]
        return self.position(path)

    def get(self, path: Path) -> Value:
        """The value at `path`, None where there is none."""
        value = self.root
        for node, step in self._walk(path):
            value = _child(node, step)
        return value

    def _walk(self, path: Path) -> Iterator[tuple[Value, str | int]]:
        node = self.root
        for step in path:
            yield node, step
            node = _child(node, step)


def _child(node: Value, step: str | int) -> Value:
    if isinstance(node, Object) and isinstance(step, str):
        return node.get(step)
    if isinstance(node, Array) and isinstance(step, int) and 0 <= step < len(node):
        return node[step]
    return None


class Finding(NamedTuple):
    """A remark about the value at `path`, or about its key. Its severity belongs to the profile."""

    code: str
    path: Path
    message: str
    hint: str = ""
    on_key: bool = False

    def located(self, tree: Tree) -> Diagnostic:
        mark = tree.key_position(self.path) if self.on_key else tree.position(self.path)
        return Diagnostic(mark.line, mark.column, LENIENT[self.code], self.code, self.message, self.hint)


def diagnostic(code: str, mark: Mark, message: str, hint: str = "") -> Diagnostic:
    """A remark about a place in the text, before there is a tree."""
    return Diagnostic(mark.line, mark.column, LENIENT[code], code, message, hint)
