"""YAML and JSON to values with their places."""

from __future__ import annotations

import pytest

from tests.devfile.examples import devfile
from wsdash.devfile import DevfileError, load
from wsdash.devfile.parse.reader import decode, read


def refused(text: str | bytes) -> tuple[int, int, str]:
    with pytest.raises(DevfileError) as raised:
        read(decode(text))
    found = raised.value.diagnostics[-1]
    return found.line, found.column, found.code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (1, 1, "text.empty")),
        ("# only a comment\n", (1, 1, "text.empty")),
        ("---\n...\n", (1, 1, "text.empty")),
        ("a: b: c\n", (1, 5, "yaml.syntax")),
        ("a:\n\t- b\n", (2, 1, "yaml.syntax")),
        (" a: 1\nb: 2\n", (2, 1, "yaml.syntax")),
        ("a: &a [*a]\n", (1, 8, "yaml.recursive-alias")),
        ("a: \x07\n", (1, 4, "text.control-character")),
        ("a: 1\nb: \ud800\n", (2, 4, "text.control-character")),
        (b"a: 1\nb: \xff", (2, 4, "text.encoding")),
        (b"\xff\xfea", (1, 1, "text.encoding")),
        ("x" * (3 * 2**20 + 1), (1, 1, "text.too-large")),
        ('{"a": 1]', (1, 8, "json.syntax")),
        ("  {a: 1}", (1, 4, "json.syntax")),
        ('{"a": "b', (1, 7, "json.syntax")),
        ('{"a": 1e999}', (1, 7, "json.syntax")),
        ('{"a": NaN}', (1, 7, "json.syntax")),
        ('{"a": 1}\n{}', (2, 1, "json.syntax")),
        ('{"a":\n', (2, 1, "json.syntax")),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_place(
    text: str | bytes, expected: tuple[int, int, str]
) -> None:
    assert refused(text) == expected


def test_byte_order_marks_and_utf_16_are_understood() -> None:
    text = devfile()
    for encoding in ("utf-8-sig", "utf-16"):
        assert load(text.encode(encoding)).devfile == load(text).devfile
