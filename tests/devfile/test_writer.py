"""A devfile as text again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.devfile.examples import devfile
from wsdash.devfile import load, to_json, to_yaml

AWKWARD = (
    "", "y", "No", "null", "~", "1e9", "08", "0o17", "0x1F", "1_000", "12:30", "2026-01-02", ".inf", "=", "<<", "- a",
    "a: b", "a #b", "{{x}}", "*a", "&a", "!a", "%a", "@a", "`a", "'", '"', "\\", " a", "a ", "\na", "a\n\n", " a\nb",
    "a\n b\n", "a \nb", "\ta\nb", "a\r\nb", "a\x85b", "\u2028", "\ufeffa\nb", "\0", "\x1b[2J", "é日本\U0001f600",
    "#!/bin/sh\nx",
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(AWKWARD),
    st.text("ab \n\t:#-'\"|>{}[]&*!%@`,?=<~y1e.0\\", max_size=12),
)
VALUES = st.recursive(
    TEXTS
    | st.booleans()
    | st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4), TEXTS)
def test_what_is_written_reads_back_the_same(attributes: dict[str, object], text: str) -> None:
    container = {"image": "x", "args": [text], "env": [{"name": "A", "value": text}]}
    content = {
        "schemaVersion": "2.2.0",
        "attributes": attributes,
        "components": [{"name": "a", "container": container}],
    }
    document = load(json.dumps(content))
    assert load(to_yaml(document)).devfile == document.devfile
    assert load(to_json(document)).devfile == document.devfile


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_texts_stay_texts(text: str) -> None:
    document = load(json.dumps({"schemaVersion": "2.2.0", "variables": {"v": text, text: "v"}}))
    again = load(to_yaml(document)).devfile.variables
    assert again == {"v": text, text: "v"}


def test_it_is_written_for_people_to_read() -> None:
    text = devfile(
        "commands:\n- exec: {commandLine: 'make\n\n      make install\n\n      ', component: dev}\n  id: a\n",
        container="args: [sh]\nmemoryLimit: '1'\n",
    )
    assert to_yaml(load(text)) == (
        "schemaVersion: 2.2.0\n"
        "components:\n"
        "  - name: dev\n"
        "    container:\n"
        "      image: debian\n"
        "      args:\n"
        "        - sh\n"
        "      memoryLimit: '1'\n"
        "commands:\n"
        "  - id: a\n"
        "    exec:\n"
        "      commandLine: |\n"
        "        make\n"
        "        make install\n"
        "      component: dev\n"
    )


def test_the_version_stays_as_it_was_written() -> None:
    assert to_yaml(load(devfile(version="2.2.0-latest"))).startswith("schemaVersion: 2.2.0-latest\n")


def test_aliases_are_written_out() -> None:
    text = "x: &x {a: [1]}\nschemaVersion: 2.2.0\nattributes: {p: *x, q: *x}\n"
    assert "*" not in to_yaml(load(text))
    assert "&" not in to_yaml(load(text))
