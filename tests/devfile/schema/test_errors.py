"""Errors of the schema in words: where, what, and how to put it right."""

from __future__ import annotations

import pytest

from tests.devfile.examples import devfile, remarks


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ("memoryLimit: 512", (6, 20, "schema.wrong-type", "put the value in quotes")),
        ("mountSources: 'true'", (6, 21, "schema.wrong-type", "write true or false, without quotes")),
        ("args:", (6, 12, "schema.wrong-type", "give it a value, or drop the key")),
        ("args: [1]", (6, 14, "schema.wrong-type", "put the value in quotes")),
        ("env: {A: b}", (6, 12, "schema.wrong-type", "")),
        ("annotation:", (6, 18, "schema.wrong-type", "give it a value, or drop the key")),
        ("endpoints: [{name: a, targetPort: '1'}]", (6, 41, "schema.wrong-type", "write the value without quotes")),
        ("endpoints: [{name: a, targetPort: true}]", (6, 41, "schema.wrong-type", "")),
        ("endpoints: [{name: a, targetPort: 1.5}]", (6, 41, "schema.wrong-type", "")),
        ("endpoints: [{name: a}]", (6, 19, "schema.missing-field", "")),
        ("endpoints: [{name: a, targetPort: 1, protocol: htps}]", (6, 54, "schema.wrong-value", "did you mean https?")),
        ("endpoints: [{name: abcdefghijklmnop, targetPort: 1}]", (6, 26, "schema.too-long", "")),
        ("volumeMounts: [{name: A}]", (6, 29, "schema.bad-name",
         "use lower-case letters, digits and dashes; begin and end with a letter or digit")),
        ("memorylimit: 1Gi", (6, 7, "schema.unknown-field", "did you mean memoryLimit?")),
        ("targetPort: 1", (6, 7, "schema.unknown-field", "did you mean endpoints.targetPort?")),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_at_its_place_with_a_remedy(
    container: str, expected: tuple[int, int, str, str]
) -> None:
    found = remarks(devfile(container=container))
    assert [(d.line, d.column, d.code, d.hint) for d in found] == [expected]


def test_what_older_schemas_had_is_refused_with_the_way_out() -> None:
    found = remarks(devfile("commands: [{id: a, vscodeTask: {inlined: x}}]\n", version="2.0.0"))
    assert {d.code for d in found} == {"schema.one-of", "schema.removed-field"}
    assert all("write the command as exec" in d.hint for d in found)
