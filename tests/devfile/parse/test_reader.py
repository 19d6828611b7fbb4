"""YAML and JSON to values with their places."""

from __future__ import annotations

import json
from textwrap import dedent
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.devfile.examples import column_of, devfile, places
from wsdash.devfile import DevfileError, load
from wsdash.devfile.parse.json_reader import read_json
from wsdash.devfile.parse.reader import decode, read
from wsdash.devfile.parse.tree import Array, Mark, Object, Value

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip
YAML_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.text("ab: #-{}[]'\"\n*&!|>%@,?\t\u20ac", max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc: *&", max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


def value_of(text: str) -> Value:
    tree, diagnostics = read(text)
    assert diagnostics == []
    return tree.root


def refused(text: str | bytes) -> tuple[int, int, str]:
    with pytest.raises(DevfileError) as raised:
        read(decode(text))
    found = raised.value.diagnostics[-1]
    return found.line, found.column, found.code


def remarked(text: str) -> list[tuple[int, int, str]]:
    return [(d.line, d.column, d.code) for d in read(text)[1]]


@given(YAML_VALUES.filter(lambda value: value is not None))
def test_what_a_yaml_writer_wrote_is_read_back(value: Any) -> None:  # noqa: ANN401
    text = yaml.safe_dump(value)
    assert value_of("--- " + text if text.lstrip().startswith("{") else text) == value


@given(st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=4))
def test_what_a_json_writer_wrote_is_read_back(value: dict[str, Any]) -> None:
    assert read_json(json.dumps(value))[0].root == value
    assert read_json(json.dumps(value, indent="\t", ensure_ascii=False))[0].root == value


@given(YAML_VALUES)
def test_every_value_knows_its_place(value: Any) -> None:  # noqa: ANN401
    text = json.dumps([value], indent=1)
    yaml_tree, json_tree = read(text)[0], read_json(text)[0]
    for path in paths(yaml_tree.root):
        assert yaml_tree.position(path) == json_tree.position(path)
        assert yaml_tree.key_position(path) == json_tree.key_position(path)


def paths(value: Value, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = (
        value.items() if isinstance(value, Object) else enumerate(value) if isinstance(value, Array) else ()
    )
    return [path, *(found for step, item in inner for found in paths(item, (*path, step)))]


def test_places_are_lines_and_columns_of_keys_values_and_items() -> None:
    text = devfile("commands:\n- id: run\n  composite: {commands: [one, 'two']}\n")
    document = load(text)
    assert document.position("commands", 0, "composite", "commands", 1)[:2] == column_of(text, "'two'")
    assert document.key_position("commands", 0, "composite")[:2] == column_of(text, "composite")
    assert document.position("commands", 0)[:2] == column_of(text, "id: run")
    assert document.position("components", 0, "container", "image")[:2] == column_of(text, "debian")


def test_the_place_of_what_is_absent_is_that_of_the_value_around_it() -> None:
    text = devfile()
    absent = load(text).position("components", 0, "container", "args", 3)
    assert (absent.line, absent.column) == column_of(text, "image: debian")
    assert load(text).position("nothing") == Mark(1, 1)


def test_quotes_and_tags_decide_over_the_look_of_a_value() -> None:
    text = "[yes, 'yes', !!str yes, !!int '1', !!float 1, !!binary YWI=, ! 1, !!timestamp 2026-01-02]"
    assert value_of(text) == [True, "yes", "yes", 1, 1, "ab", 1, "2026-01-02"]
    assert value_of("- |\n  yes\n- >-\n  1\n") == ["yes\n", "1"]


def test_keys_are_strings() -> None:
    assert value_of("{8080: a}".join(["- ", ""])) == [{"8080": "a"}]
    assert value_of("yes: a\n1.5: b\n1e9: c\n") == {"true": "a", "1.5": "b", "1e+09": "c"}


def test_anchors_aliases_and_merges_work_and_a_merge_counts_where_it_stands() -> None:
    text = dedent("""\
        base: &base {a: 1, b: 2}
        more: &more {b: 3, c: 4}
        one: {<<: *base, b: 9}
        two: {<<: [*base, *more]}
        again: *base
    """)
    base = {"a": 1, "b": 2}
    assert value_of(text) == {
        "base": base,
        "more": {"b": 3, "c": 4},
        "one": {"a": 1, "b": 9},
        "two": {"a": 1, "b": 2, "c": 4},
        "again": base,
    }


def test_a_merge_after_a_key_replaces_it_as_in_the_reference_parser_and_that_is_said() -> None:
    tree, diagnostics = read("base: &base {a: 1}\none:\n  a: 2\n  <<: *base\n")
    assert tree.get(("one", "a")) == 1
    assert [(d.line, d.column, d.code) for d in diagnostics] == [(4, 3, "yaml.merge-order")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", (3, 1, "yaml.duplicate-key")),
        ("a: 1\n---\nb: 2\n", (2, 1, "yaml.several-documents")),
        ("a: {{x}}\n", (1, 5, "yaml.bad-key")),
        ("a:\n  ? [b]\n  : c\n", (2, 5, "yaml.bad-key")),
        ("~: a\n", (1, 1, "yaml.bad-key")),
        ("a: .inf\n", (1, 4, "yaml.bad-value")),
        ("a: !!int x\n", (1, 4, "yaml.bad-value")),
        ("a: !!binary \xff\n", (1, 4, "yaml.bad-value")),
        ("a: !ruby/object:Gem x\n", (1, 4, "yaml.tag")),
        ("a: !!python/object/apply:os.system [x]\n", (1, 4, "yaml.tag")),
        ("a: *b\n", (1, 4, "yaml.unknown-alias")),
        ("a: {<<: 1}\n", (1, 9, "yaml.bad-merge")),
    ],
)
def test_questionable_yaml_is_read_on_and_remarked_at_its_place(
    text: str, expected: tuple[int, int, str]
) -> None:
    assert remarked(text) == [expected]


@pytest.mark.parametrize("end", ["---\n", "...\n", "---\n# nothing\n"])
def test_an_empty_second_document_is_none(end: str) -> None:
    assert remarked("a: 1\n" + end) == []


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


def test_json_may_be_indented_by_tabs_and_its_repeated_keys_are_found() -> None:
    tree, diagnostics = read('{\n\t"a": 1,\n\t"a": [2, {"b": "\\ud800"}]\n}')
    assert tree.root == {"a": [2, {"b": "\ufffd"}]}
    assert [(d.line, d.column, d.code) for d in diagnostics] == [(3, 2, "yaml.duplicate-key")]


def test_byte_order_marks_and_utf_16_are_understood() -> None:
    text = devfile()
    for encoding in ("utf-8-sig", "utf-16"):
        assert load(text.encode(encoding)).devfile == load(text).devfile


def test_without_the_c_parser_the_result_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = devfile(
        "commands: [{id: a, exec: {component: dev, commandLine: 'é'}}]\nattributes: {a: &a [1], b: *a}\n"
    )
    fast = load(text)
    monkeypatch.setattr("wsdash.devfile.parse.yaml_reader._LOADER", yaml.SafeLoader)
    slow = load(text)
    assert slow == fast
    for path in paths(fast.tree.root):
        assert slow.position(*path) == fast.position(*path)
    assert places("a: \t- b\n")[0][2] == "yaml.syntax"
