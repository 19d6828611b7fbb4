"""YAML to values with their places, as the reference parser reads it."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest
import yaml
from hypothesis import given

from tests.devfile.examples import devfile, places
from tests.devfile.parse.yaml_values import YAML_VALUES
from wsdash.devfile import load
from wsdash.devfile.parse.reader import read
from wsdash.devfile.parse.tree import Array, Object, Value


def value_of(text: str) -> Value:
    tree, diagnostics = read(text)
    assert diagnostics == []
    return tree.root


def remarked(text: str) -> list[tuple[int, int, str]]:
    return [(d.line, d.column, d.code) for d in read(text)[1]]


@given(YAML_VALUES.filter(lambda value: value is not None))
def test_what_a_yaml_writer_wrote_is_read_back(value: Any) -> None:  # noqa: ANN401
    text = yaml.safe_dump(value)
    assert value_of("--- " + text if text.lstrip().startswith("{") else text) == value


def paths(value: Value, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = (
        value.items() if isinstance(value, Object) else enumerate(value) if isinstance(value, Array) else ()
    )
    return [path, *(found for step, item in inner for found in paths(item, (*path, step)))]


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
