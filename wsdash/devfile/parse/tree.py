"""The values of a document with their places in the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, Union

from wsdash.devfile.codes import LENIENT
from wsdash.devfile.diagnostics import Diagnostic

KeyPath: TypeAlias = tuple[str | int, ...]
"""The path of a value from the document's root: `("components", 0, "container", "image")`."""

Value: TypeAlias = Union[str, int, float, bool, "Object", "Array", None]


class Mark(NamedTuple):
    """A place in the text; line and column count from 1. `file` is the parent's that holds it, None for the
    document's own.
    """

    line: int
    column: int
    file: str | None = None


START = Mark(1, 1)


class Object(dict[str, Value]):
    """A mapping that records the places of its keys and values."""

    __slots__ = ("keys_at", "values_at")

    def __init__(self) -> None:
        self.keys_at: dict[str, Mark] = {}
        self.values_at: dict[str, Mark] = {}

    def put(self, key: str, value: Value, key_at: Mark, value_at: Mark) -> None:
        """Set a key with its value and the places of both."""
        self[key] = value
        self.keys_at[key] = key_at
        self.values_at[key] = value_at

    def take(self, other: Object, key: str) -> None:
        """Copy a key, its value and their places from another mapping."""
        self.put(key, other[key], other.keys_at.get(key, START), other.values_at.get(key, START))

    def drop(self, key: str) -> None:
        """Remove a key and its places, if it is there."""
        self.pop(key, None)
        self.keys_at.pop(key, None)
        self.values_at.pop(key, None)


class Array(list[Value]):
    """A list that records the places of its items."""

    __slots__ = ("items_at",)

    def __init__(self) -> None:
        self.items_at: list[Mark] = []

    def put(self, value: Value, at: Mark) -> None:
        """Append an item with its place."""
        self.append(value)
        self.items_at.append(at)


@dataclass(frozen=True, slots=True)
class Tree:
    """A parsed document before validation."""

    root: Value
    start: Mark = START

    def position(self, path: KeyPath) -> Mark:
        """Return where the value at `path` begins; where it is absent, its nearest surrounding value."""
        mark = self.start
        for node, step in self._walk(path):
            if isinstance(node, Object) and isinstance(step, str) and step in node.values_at:
                mark = node.values_at[step]
            elif isinstance(node, Array) and isinstance(step, int) and 0 <= step < len(node.items_at):
                mark = node.items_at[step]
        return mark

    def key_position(self, path: KeyPath) -> Mark:
        """Return where the key that `path` ends with begins; for an item of a list, the value's place."""
        node = self.get(path[:-1])
        if path and isinstance(node, Object) and path[-1] in node.keys_at:
            return node.keys_at[str(path[-1])]
        return self.position(path)

    def get(self, path: KeyPath) -> Value:
        """Return the value at `path`, None where there is none."""
        value = self.root
        for node, step in self._walk(path):
            value = _child(node, step)
        return value

    def _walk(self, path: KeyPath) -> Iterator[tuple[Value, str | int]]:
        node = self.root
        for step in path:
            yield node, step
            node = _child(node, step)


def copied(value: Value, file: str | None = None) -> Value:
    """Return a copy of the value; with `file`, all of its places are marked as in that file."""
    if isinstance(value, Object):
        mapping = Object()
        for key, item in value.items():
            key_at, value_at = value.keys_at.get(key, START), value.values_at.get(key, START)
            mapping.put(key, copied(item, file), _in(key_at, file), _in(value_at, file))
        return mapping
    if isinstance(value, Array):
        items = Array()
        for item, at in zip(value, value.items_at, strict=True):
            items.put(copied(item, file), _in(at, file))
        return items
    return value


def _in(mark: Mark, file: str | None) -> Mark:
    return Mark(mark.line, mark.column, file) if file else mark


def _child(node: Value, step: str | int) -> Value:
    if isinstance(node, Object) and isinstance(step, str):
        return node.get(step)
    if isinstance(node, Array) and isinstance(step, int) and 0 <= step < len(node):
        return node[step]
    return None


class Finding(NamedTuple):
    """A problem with the value at `path`, or with its key. Its severity depends on the profile."""

    code: str
    path: KeyPath
    message: str
    hint: str = ""
    on_key: bool = False

    def located(self, tree: Tree) -> Diagnostic:
        """Return the finding as a diagnostic with its place in the tree."""
        mark = tree.key_position(self.path) if self.on_key else tree.position(self.path)
        return diagnostic(self.code, mark, self.message, self.hint)


def diagnostic(code: str, mark: Mark, message: str, hint: str = "") -> Diagnostic:
    """Return a diagnostic for a place in the text, with the lenient profile's severity."""
    return Diagnostic(mark.line, mark.column, LENIENT[code], code, message, hint, mark.file)
