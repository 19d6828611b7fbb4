"""Parses JSON text to a tree with positions. A devfile whose first character is `{` is JSON, never YAML.

Source: devfile/library, pkg/devfile/parser/context/content.go.
"""

from __future__ import annotations

import bisect
import json
import math
import re
from typing import NoReturn

from wsdash.devfile.diagnostics import LINE_BREAK, DevfileError, Diagnostic, show
from wsdash.devfile.limits import MAX_DEPTH, MAX_VALUES
from wsdash.devfile.parse.tree import Array, Mark, Object, Tree, Value, diagnostic

_BLANK = re.compile(r"[ \t\r\n]*")
_BLANK_OR_COMMENT = re.compile(r"(?:[ \t\r\n]|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}
_SURROGATE = re.compile("[\ud800-\udfff]")
_YAML_HINT = "a file whose first character is { is read as JSON; begin with --- if it is YAML"


def read_json(text: str, *, comments: bool = False) -> tuple[Tree, list[Diagnostic]]:
    """Return the text's tree and its diagnostics. Raises `DevfileError` for invalid JSON.

    With `comments`, comments and trailing commas are accepted: JSON as editors write it.
    """
    reader = _Reader(text, comments)
    at = reader.blank(0)
    value, end = reader.value(at, 0)
    if (rest := reader.blank(end)) < len(text):
        reader.fail(rest, "there is text after the end of the value")
    return Tree(value, reader.mark(at)), reader.diagnostics


class _Reader:
    def __init__(self, text: str, comments: bool) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._comments = comments
        self._blank = _BLANK_OR_COMMENT if comments else _BLANK
        self._text = text
        self._lines = [0, *(found.end() for found in LINE_BREAK.finditer(text))]
        self._decoder = json.JSONDecoder()
        self._count = 0

    def mark(self, at: int) -> Mark:
        line = bisect.bisect_right(self._lines, at)
        return Mark(line, at - self._lines[line - 1] + 1)

    def fail(self, at: int, problem: str, code: str = "json.syntax") -> NoReturn:
        hint = _YAML_HINT if code == "json.syntax" and not self._comments else ""
        prefix = "not JSON: " if code == "json.syntax" else ""
        raise DevfileError([*self.diagnostics, diagnostic(code, self.mark(at), prefix + problem, hint)])

    def blank(self, at: int) -> int:
        found = self._blank.match(self._text, at)
        return found.end() if found else at

    def value(self, at: int, depth: int) -> tuple[Value, int]:
        """Return the value that begins at `at`, and where it ends."""
        self._count += 1
        if self._count > MAX_VALUES:
            self.fail(at, f"the document has more than {MAX_VALUES} values", "yaml.too-many-values")
        if depth >= MAX_DEPTH:
            self.fail(at, f"values are nested deeper than {MAX_DEPTH} levels", "yaml.too-deep")
        sign = self._text[at : at + 1]
        if sign == "{":
            return self._object(at, depth)
        if sign == "[":
            return self._array(at, depth)
        if sign == '"':
            return self._string(at)
        for word, value in _WORDS.items():
            if self._text.startswith(word, at):
                return value, at + len(word)
        return self._number(at)

    def _string(self, at: int) -> tuple[str, int]:
        try:
            value, end = self._decoder.raw_decode(self._text, at)
        except json.JSONDecodeError as error:
            self.fail(error.pos, error.msg[:1].lower() + error.msg[1:])
        return _SURROGATE.sub("\ufffd", str(value)), end

    def _number(self, at: int) -> tuple[Value, int]:
        found = _NUMBER.match(self._text, at)
        if not found:
            self.fail(at, "a value is missing here" if at < len(self._text) else "the text is incomplete")
        digits = found[0]
        if not found[1] and not found[2] and len(digits) < 20:
            return int(digits), found.end()
        number = float(digits)
        if math.isinf(number):
            self.fail(at, f"{show(digits)} is a number that is too large")
        return number, found.end()

    def _object(self, at: int, depth: int) -> tuple[Object, int]:
        result = Object()
        at = self.blank(at + 1)
        if self._text.startswith("}", at):
            return result, at + 1
        while True:
            if not self._text.startswith('"', at):
                self.fail(at, "a key in double quotes is missing here")
            key_at = self.mark(at)
            key, at = self._string(at)
            at = self.blank(at)
            if not self._text.startswith(":", at):
                self.fail(at, "a colon is missing here")
            at = self.blank(at + 1)
            value_at = self.mark(at)
            value, at = self.value(at, depth + 1)
            if key in result:
                message = (
                    f"the key {show(key)} is repeated here; it was first on line {result.keys_at[key].line}"
                )
                hint = "keep one of the two; the last one is used"
                self.diagnostics.append(diagnostic("yaml.duplicate-key", key_at, message, hint))
            result[key] = value
            result.keys_at[key] = key_at
            result.values_at[key] = value_at
            at, more = self._next(at, "}")
            if not more:
                return result, at

    def _array(self, at: int, depth: int) -> tuple[Array, int]:
        result = Array()
        at = self.blank(at + 1)
        if self._text.startswith("]", at):
            return result, at + 1
        while True:
            result.items_at.append(self.mark(at))
            value, at = self.value(at, depth + 1)
            result.append(value)
            at, more = self._next(at, "]")
            if not more:
                return result, at

    def _next(self, at: int, closing: str) -> tuple[int, bool]:
        at = self.blank(at)
        if self._text.startswith(closing, at):
            return at + 1, False
        if not self._text.startswith(",", at):
            self.fail(at, f"a comma or {closing} is missing here")
        at = self.blank(at + 1)
        if self._comments and self._text.startswith(closing, at):
            return at + 1, False
        return at, True
