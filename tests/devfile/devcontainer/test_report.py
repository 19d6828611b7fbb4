"""Properties of a Dev Container are read as their types, and those of another one are left out and reported."""

from __future__ import annotations

import json

import pytest

from wsdash.devfile.devcontainer.report import Report, plain_text, texts
from wsdash.devfile.limits import MAX_DIAGNOSTICS
from wsdash.devfile.parse.json_reader import read_json
from wsdash.devfile.parse.tree import Array, Object, Value


def reported(**properties: object) -> tuple[Report, Object]:
    tree, _ = read_json(json.dumps(properties))
    assert isinstance(tree.root, Object)
    return Report(tree), tree.root


def test_what_is_absent_is_no_error() -> None:
    report, root = reported()
    assert report.text(root, "image", ("image",)) is None
    assert report.mapping(root, "containerEnv") == {}
    assert report.items(root, "mounts") == []
    assert report.diagnostics == []


def test_another_type_is_left_out_and_reported_at_its_place() -> None:
    report, root = reported(image=3, containerEnv=["A"], mounts="x")
    assert report.text(root, "image", ("image",)) is None
    assert report.mapping(root, "containerEnv") == {}
    assert report.items(root, "mounts") == []
    assert [found.code for found in report.diagnostics] == ["devcontainer.type"] * 3
    columns = [found.column for found in report.diagnostics]
    assert columns == sorted(set(columns))


def test_a_text_with_nul_is_no_text() -> None:
    report, root = reported(image="a\0b")
    assert report.text(root, "image", ("image",)) is None
    assert len(report.diagnostics) == 1


def test_items_have_their_places() -> None:
    report, root = reported(mounts=["a", {"b": 1}])
    assert report.items(root, "mounts") == [(("mounts", 0), "a"), (("mounts", 1), {"b": 1})]


def test_a_hostile_file_fills_no_memory_with_remarks() -> None:
    report, root = reported(image=3)
    for _ in range(100 * MAX_DIAGNOSTICS):
        report.text(root, "image", ("image",))
    assert MAX_DIAGNOSTICS < len(report.diagnostics) < 20 * MAX_DIAGNOSTICS


@pytest.mark.parametrize(
    ("value", "text"),
    [("x", "x"), (True, "true"), (False, "false"), (3, "3"), (1.5, "1.5"), (None, None), (Array(), None)],
)
def test_numbers_and_flags_become_texts_as_json_writes_them(value: Value, text: str | None) -> None:
    assert plain_text(value) == text
    assert texts({"A": value}) == ({} if text is None else {"A": text})
