"""JSON to values with their places."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wsdash.devfile.parse.json_reader import read_json
from wsdash.devfile.parse.reader import read

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=4))
def test_what_a_json_writer_wrote_is_read_back(value: dict[str, Any]) -> None:
    assert read_json(json.dumps(value))[0].root == value
    assert read_json(json.dumps(value, indent="\t", ensure_ascii=False))[0].root == value


def test_json_may_be_indented_by_tabs_and_its_repeated_keys_are_found() -> None:
    tree, diagnostics = read('{\n\t"a": 1,\n\t"a": [2, {"b": "\\ud800"}]\n}')
    assert tree.root == {"a": [2, {"b": "\ufffd"}]}
    assert [(d.line, d.column, d.code) for d in diagnostics] == [(3, 2, "yaml.duplicate-key")]
