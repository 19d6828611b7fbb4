"""Places of values, keys and items, which YAML and JSON share."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given

from tests.devfile.examples import column_of, devfile
from tests.devfile.parse.yaml_values import YAML_VALUES
from wsdash.devfile import load
from wsdash.devfile.parse.json_reader import read_json
from wsdash.devfile.parse.reader import read
from wsdash.devfile.parse.tree import Array, Mark, Object, Value


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
