"""Parses YAML text to a tree with positions, safe on hostile input.

It works on the parser's events, so that depth, size and aliases are bounded while reading, nothing recurses,
and no tag ever constructs an object. It uses PyYAML's C parser where there is one.
"""

from __future__ import annotations

import base64
import binascii
import math
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from wsdash.devfile.diagnostics import DevfileError, Diagnostic, show
from wsdash.devfile.limits import MAX_DEPTH, MAX_VALUES
from wsdash.devfile.parse.scalars import Scalar, resolve
from wsdash.devfile.parse.tree import START, Array, Mark, Object, Tree, Value, diagnostic

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_CORE_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "null": (type(None),),
    "timestamp": (str,),
}
_SILENT_TAGS = {_CORE + name for name in ("map", "seq", "set", "omap", "pairs")}
_SYNTAX_HINTS = (
    ("\\t", "indent with spaces: YAML does not allow tabs there"),
    ("mapping values are not allowed", 'quote a value that contains ": "'),
    ("expected <document start>", "the first line may not be indented further than the later ones"),
    ("expected <block end>", "compare this line's indentation with the lines above"),
    ("cannot start any token", "quote a value that begins with a special character such as @ ` or %"),
)


class _Ignored:
    """The placeholder for an invalid key."""


class _Merge:
    """The placeholder for the key `<<`."""


_IGNORED = _Ignored()
_MERGE = _Merge()


@dataclass(slots=True)
class _Frame:
    """A mapping or list being read. `key` is the mapping's key that waits for its value."""

    value: Object | Array
    mark: Mark
    anchor: str | None
    counted: int
    height: int = 0
    key: str | _Ignored | _Merge | None = None
    key_mark: Mark = START
    merged: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Anchor:
    value: Value
    size: int
    height: int


def read_yaml(text: str) -> tuple[Tree | None, list[Diagnostic]]:
    """Return the tree of the text's first document, None if it is empty, and its diagnostics.

    Raises `DevfileError` for a syntax error, or a limit that is exceeded.
    """
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if not reader.take(event):
                break
    except yaml.YAMLError as error:
        reader.fail(_syntax_error(error))
    return reader.tree, reader.diagnostics


class _Reader:
    def __init__(self) -> None:
        self.tree: Tree | None = None
        self.diagnostics: list[Diagnostic] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Anchor] = {}
        self._open: set[str] = set()
        self._count = 0
        self._aliases = False
        self._second: Mark | None = None

    def fail(self, problem: Diagnostic) -> NoReturn:
        raise DevfileError([*self.diagnostics, problem])

    def take(self, event: Event) -> bool:
        """Process one event. Return False if the rest can be ignored."""
        if self._second:
            if not isinstance(event, ScalarEvent) or event.value or event.style:
                message = "a second YAML document begins here"
                hint = "keep one document in the file; only the first is read"
                self._report("yaml.several-documents", self._second, message, hint)
            return False
        if isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, MappingStartEvent):
            self._start(event, Object())
        elif isinstance(event, SequenceStartEvent):
            self._start(event, Array())
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._end()
        elif isinstance(event, AliasEvent):
            self._alias(event)
        elif isinstance(event, DocumentStartEvent) and self.tree:
            self._second = _mark(event)
        return True

    def _report(self, code: str, mark: Mark, message: str, hint: str = "") -> None:
        self.diagnostics.append(diagnostic(code, mark, message, hint))

    def _grow(self, by: int, mark: Mark) -> None:
        self._count += by
        if self._count <= MAX_VALUES:
            return
        if self._aliases:
            self.fail(diagnostic("yaml.too-many-aliases", mark,
                                 f"with its aliases the document has more than {MAX_VALUES} values",
                                 "write the repeated parts out, or drop them"))  # fmt: skip
        self.fail(diagnostic("yaml.too-many-values", mark,
                             f"the document has more than {MAX_VALUES} values"))  # fmt: skip

    def _deepen(self, depth: int, mark: Mark) -> None:
        if depth > MAX_DEPTH:
            self.fail(diagnostic("yaml.too-deep", mark, f"values are nested deeper than {MAX_DEPTH} levels"))

    def _scalar(self, event: ScalarEvent) -> None:
        mark = _mark(event)
        self._grow(1, mark)
        value = self._value(event, mark)
        if event.anchor:
            self._anchors[event.anchor] = _Anchor(value, 1, 0)
        self._add(value, mark, merge=event.implicit[0] and value == "<<")

    def _value(self, event: ScalarEvent, mark: Mark) -> Scalar:
        text: str = event.value
        if event.implicit[0]:
            return self._finite(resolve(text), text, mark)
        if event.tag and event.tag != "!":
            return self._tagged(text, event.tag, mark)
        return text

    def _finite(self, value: Scalar, text: str, mark: Mark) -> Scalar:
        """Refuse infinity: JSON, through which the reference parser passes its values, has none."""
        if not isinstance(value, float) or math.isfinite(value):
            return value
        self._report(
            "yaml.bad-value", mark, f"{show(text)} is not a number that a devfile can contain", "quote it"
        )
        return text

    def _tagged(self, text: str, tag: str, mark: Mark) -> Scalar:
        name = tag.removeprefix(_CORE)
        if name == "str":
            return text
        if name == "binary":
            try:
                return base64.b64decode(text).decode()
            except (binascii.Error, ValueError):
                self._report("yaml.bad-value", mark, "the !!binary value is not base64 of UTF-8 text")
                return text
        types = _CORE_TYPES.get(name) if tag.startswith(_CORE) else None
        if types is None:
            self._ignored_tag(tag, mark)
            return text
        value = resolve(text)
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            self._report("yaml.bad-value", mark, f"{show(text)} cannot be read as !!{name}", "drop the tag")
            return text
        return self._finite(value, text, mark)

    def _ignored_tag(self, tag: str, mark: Mark) -> None:
        self._report("yaml.tag", mark, f"the tag {show(tag)} is ignored", "remove it: devfiles have no tags")

    def _start(self, event: MappingStartEvent | SequenceStartEvent, value: Object | Array) -> None:
        mark = _mark(event)
        self._grow(1, mark)
        self._deepen(len(self._stack) + 1, mark)
        if event.tag and event.tag != "!" and event.tag not in _SILENT_TAGS:
            self._ignored_tag(event.tag, mark)
        if event.anchor:
            self._open.add(event.anchor)
        self._stack.append(_Frame(value, mark, event.anchor, self._count - 1))

    def _end(self) -> None:
        frame = self._stack.pop()
        if frame.anchor:
            self._open.discard(frame.anchor)
            self._anchors[frame.anchor] = _Anchor(frame.value, self._count - frame.counted, frame.height + 1)
        self._add(frame.value, frame.mark, height=frame.height + 1)

    def _alias(self, event: AliasEvent) -> None:
        mark = _mark(event)
        if event.anchor in self._open:
            self.fail(diagnostic("yaml.recursive-alias", mark,
                                 f"the alias {show(event.anchor)} is inside the value that it repeats",
                                 "write the value out"))  # fmt: skip
        anchor = self._anchors.get(event.anchor or "")
        if anchor is None:
            self._report("yaml.unknown-alias", mark, f"there is no anchor {show(event.anchor)} before this alias",
                         "quote the value if the * belongs to it")  # fmt: skip
            anchor = _Anchor(None, 1, 0)
        self._aliases = True
        self._grow(anchor.size, mark)
        self._deepen(len(self._stack) + anchor.height, mark)
        self._add(anchor.value, mark, height=anchor.height)

    def _add(self, value: Value, mark: Mark, *, height: int = 0, merge: bool = False) -> None:
        if not self._stack:
            self.tree = Tree(value, mark)
            return
        frame = self._stack[-1]
        frame.height = max(frame.height, height)
        if isinstance(frame.value, Array):
            frame.value.append(value)
            frame.value.items_at.append(mark)
        elif frame.key is None:
            frame.key = _MERGE if merge else self._key(value, mark)
            frame.key_mark = mark
        else:
            self._set(frame, frame.value, value, mark)
            frame.key = None

    def _key(self, value: Value, mark: Mark) -> str | _Ignored:
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return format(value, "g") if isinstance(value, float) else str(value)
        if value is None:
            self._report("yaml.bad-key", mark, "a key may not be empty (null)", "quote it")
        else:
            self._report("yaml.bad-key", mark, "a mapping or list cannot be a key",
                         "quote a value that begins with { or [, such as '{{variable}}'")  # fmt: skip
        return _IGNORED

    def _set(self, frame: _Frame, target: Object, value: Value, mark: Mark) -> None:
        key = frame.key
        if isinstance(key, _Merge):
            self._merge(frame, target, value, mark)
        elif isinstance(key, str):
            if key in target and key not in frame.merged:
                first = target.keys_at[key].line
                self._report("yaml.duplicate-key", frame.key_mark,
                             f"the key {show(key)} is repeated here; it was first on line {first}",
                             "keep one of the two; the last one is used")  # fmt: skip
            frame.merged.discard(key)
            target[key] = value
            target.keys_at[key] = frame.key_mark
            target.values_at[key] = mark

    def _merge(self, frame: _Frame, target: Object, value: Value, mark: Mark) -> None:
        """Merge mappings: the first of several has priority; a merge overrides earlier own keys, as in go-yaml v2."""
        sources = list(reversed(value)) if isinstance(value, Array) else [value]
        for source in sources:
            if not isinstance(source, Object):
                self._report("yaml.bad-merge", mark, "<< takes a mapping or a list of mappings")
                continue
            for key, item in source.items():
                if key in target and key not in frame.merged and target[key] != item:
                    self._report("yaml.merge-order", frame.key_mark,
                                 f"<< replaces the value of {show(key)} that is before it",
                                 "write << first; other parsers let the mapping's own keys win")  # fmt: skip
                target[key] = item
                target.keys_at[key] = source.keys_at[key]
                target.values_at[key] = source.values_at[key]
                frame.merged.add(key)


def _mark(event: Event) -> Mark:
    mark = event.start_mark
    return Mark(mark.line + 1, mark.column + 1) if mark else START


def _syntax_error(error: yaml.YAMLError) -> Diagnostic:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or error)
    context = getattr(error, "context", None)
    hint = next((hint for sign, hint in _SYNTAX_HINTS if sign in problem), "")
    place = Mark(mark.line + 1, mark.column + 1) if mark else START
    message = f"not YAML: {problem}{f', {context}' if context else ''}"
    return diagnostic("yaml.syntax", place, message, hint)
