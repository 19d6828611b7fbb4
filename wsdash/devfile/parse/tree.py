"""The values of a document, each knowing where in the text it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, Union

from wsdash.devfile.codes import LENIENT
from wsdash.devfile.diagnostics import Diagnostic

KeyPath: TypeAlias = tuple[str | int, ...]
"""The way to a value from the document's root: `("components", 0, "container", "image")`."""

Value: TypeAlias = Union[str, int, float, bool, "Object", "Array", None]


class Mark(NamedTuple):
    """A place in the text, both counted from 1. `file` is the parent's that holds it, None for the document's own."""

    line: int
    column: int
    file: str | None = None


START = Mark(1, 1)


class Object(dict[str, Value]):
    """A mapping that keeps the places of its keys and values."""

    __slots__ = ("keys_at", "values_at")

    def __init__(self) -> None:
        self.keys_at: dict[str, Mark] = {}
        self.values_at: dict[str, Mark] = {}

    def put(self, key: str, value: Value, key_at: Mark, value_at: Mark) -> None:
        self[key] = value
        self.keys_at[key] = key_at
        self.values_at[key] = value_at

    def take(self, other: Object, key: str) -> None:
        """The key with its value and places as they are in another mapping."""
        self.put(key, other[key], other.keys_at.get(key, START), other.values_at.get(key, START))

    def drop(self, key: str) -> None:
        self.pop(key, None)
        self.keys_at.pop(key, None)
        self.values_at.pop(key, None)


class Array(list[Value]):
    """A list that keeps the places of its items."""

    __slots__ = ("items_at",)

    def __init__(self) -> None:
        self.items_at: list[Mark] = []

    def put(self, value: Value, at: Mark) -> None:
        self.append(value)
        self.items_at.append(at)


@dataclass(frozen=True, slots=True)
class Tree:
    """A parsed document before it is given a meaning."""

    root: Value
    start: Mark = START

    def position(self, path: KeyPath) -> Mark:
        """Where the value at `path` begins; where it is absent, its nearest surrounding value."""
        mark = self.start
        for node, step in self._walk(path):
            if isinstance(node, Object) and isinstance(step, str) and step in node.values_at:
                mark = node.values_at[step]
            elif isinstance(node, Array) and isinstance(step, int) and 0 <= step < len(node.items_at):
                mark = node.items_at[step]
        return mark

    def key_position(self, path: KeyPath) -> Mark:
        """Where the key that `path` ends with begins; the value's place where it is an item of a list."""
        node = self.get(path[:-1])
        if path and isinstance(node, Object) and path[-1] in node.keys_at:
            return node.keys_at[str(path[-1])]
        return self.position(path)

    def get(self, path: KeyPath) -> Value:
        """The value at `path`, None where there is none."""
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
    """A copy of the value; where a file is given, one that says of all its places that they are in it."""
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
    """A remark about the value at `path`, or about its key. Its severity belongs to the profile."""

    code: str
    path: KeyPath
    message: str
    hint: str = ""
    on_key: bool = False

    def located(self, tree: Tree) -> Diagnostic:
        mark = tree.key_position(self.path) if self.on_key else tree.position(self.path)
        return diagnostic(self.code, mark, self.message, self.hint)


def diagnostic(code: str, mark: Mark, message: str, hint: str = "") -> Diagnostic:
    """A remark about a place in the text, with the lenient profile's severity."""
    return Diagnostic(mark.line, mark.column, LENIENT[code], code, message, hint, mark.file)
